"""Text that ships with an installed Python package: English without a download."""

from __future__ import annotations

import gzip
import html
import importlib.metadata
import importlib.resources
import json
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.corpus.documents import Document
from repro.errors import UserError

# Shorter strings are labels ("The resource type."), not prose.
MIN_CHARACTERS = 30

# Inline tags occur inside words and before punctuation; every other tag separates blocks of text.
_INLINE = re.compile(r"</?(?:a|b|code|em|i|strong|span|sup|sub|tt|u)\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")


@dataclass(frozen=True)
class PackageSource:
    """The text of one of `PACKAGES`; another version of the package is another text."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in PACKAGES:
            raise UserError(
                "no text is known in this package",
                key="corpus.name",
                found=self.name,
                expected=f"one of: {', '.join(PACKAGES)}",
            )

    @property
    def licence(self) -> str:
        return PACKAGES[self.name][0]

    @property
    def versions(self) -> dict[str, str]:
        if self.name == "pydoc":
            return {"python": platform.python_version()}
        try:
            return {self.name: importlib.metadata.version(self.name)}
        except importlib.metadata.PackageNotFoundError as error:
            raise UserError(
                "the package that ships the text is not installed",
                key="corpus.name",
                found=self.name,
                expected=f"pip install {self.name}",
            ) from error

    def content(self, cache: Path) -> str:
        return json.dumps(self.versions)

    @property
    def pieces(self) -> int:
        return 1  # strings are deduplicated across services, so services can't be read independently

    def documents(self, piece: int | None = None) -> Iterator[Document]:
        return PACKAGES[self.name][1]()


def _botocore() -> Iterator[Document]:
    """The documentation strings of every AWS service's latest model; the group is the service."""
    data = Path(str(importlib.resources.files("botocore"))) / "data"
    seen: set[str] = set()
    for service in sorted(path for path in data.iterdir() if path.is_dir()):
        versions = sorted(service.glob("*/service-2.json*"))  # folders are dates
        if not versions:
            continue
        raw = versions[-1].read_bytes()
        model = json.loads(gzip.decompress(raw) if versions[-1].suffix == ".gz" else raw)
        for markup in _documentation(model):
            text = strip_markup(markup)
            if len(text) >= MIN_CHARACTERS and text not in seen:
                seen.add(text)
                yield Document(service.name, text)


def _documentation(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "documentation" and isinstance(value, str):
                yield value
            else:
                yield from _documentation(value)
    elif isinstance(node, list):
        for value in node:
            yield from _documentation(value)


def strip_markup(markup: str) -> str:
    """Plain text of an HTML fragment: tags removed, entities resolved, white space collapsed."""
    return " ".join(html.unescape(_TAG.sub(" ", _INLINE.sub("", markup))).split())


def _pydoc() -> Iterator[Document]:
    """The topics of Python's help; the group is the topic. Half a megabyte, for tests and quick runs."""
    from pydoc_data.topics import topics

    for topic in sorted(topics):
        yield Document(topic, topics[topic])


# name -> (licence, reader)
PACKAGES: dict[str, tuple[str, Callable[[], Iterator[Document]]]] = {
    "botocore": ("Apache-2.0", _botocore),
    "pydoc": ("PSF-2.0", _pydoc),
}
