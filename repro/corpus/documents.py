"""What every text source yields, and what it must say about itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol


class Document(NamedTuple):
    """One text. `group` names what is held out together: a service, a topic, a document."""

    group: str
    text: str


class Source(Protocol):
    """Documents in a fixed order, all documents of one group one after the other."""

    @property
    def licence(self) -> str:
        """SPDX name of the text's licence, or where to look for it."""

    @property
    def versions(self) -> dict[str, str]:
        """Versions of what the text depends on, by name."""

    def content(self, cache: Path) -> str:
        """Names the text that `documents` yields, so that another text gets another corpus folder.

        Args:
            cache: folder in which a source may keep what is costly to find out.
        """

    @property
    def pieces(self) -> int:
        """Stretches that can be read apart; one after the other they are the whole text."""

    def documents(self, piece: int | None = None) -> Iterator[Document]:
        """The documents of a piece, or all of them, read anew at each call."""


def content_group(text: str) -> str:
    """Group of a document that stands for itself.

    The name is a hash of the text, so that copies of one document are one group and never stand on both
    sides of the held-out split, whatever files they came in.
    """
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
