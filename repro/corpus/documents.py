"""The interface of text sources, and the documents that they yield."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol


class Document(NamedTuple):
    """One text. `group`: the unit of holding out (a service, a topic, a document)."""

    group: str
    text: str


class Source(Protocol):
    """Documents in a fixed order, those of one group next to each other."""

    @property
    def licence(self) -> str:
        """SPDX name of the text's licence, or where to find it."""

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages and data that the text depends on, by name."""

    def content(self, cache: Path) -> str:
        """Identifies the text that `documents` yields, so that another text gets another corpus folder.

        Args:
            cache: folder in which a source may cache what is expensive to compute.
        """

    @property
    def pieces(self) -> int:
        """Number of pieces that can be read independently; in order they are the whole text."""

    def documents(self, piece: int | None = None) -> Iterator[Document]:
        """The documents of a piece, or all of them, read again at each call."""


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_group(text: str) -> str:
    """Group of a document that is its own group.

    The name is a hash of the text, so that copies of a document are one group and never end up on both
    sides of the held-out split, whichever files they come from.
    """
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
