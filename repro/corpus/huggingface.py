"""Any Hugging Face dataset, streamed from the Hub or read from a local folder."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from repro import paths
from repro.corpus.documents import Document, content_group
from repro.corpus.files import hash_of
from repro.errors import UserError

if TYPE_CHECKING:
    import datasets

_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)


@dataclass(frozen=True)
class HuggingFaceSource:
    """Split `split` of dataset `name` (configuration `subset`) at `revision`, in the dataset's own order.

    Each document is its own group. A local folder is identified by its contents. For datasets of the Hub, only an
    explicit revision pins the text; without one the corpus is what the Hub held when it was built, identified by the
    text hash in its manifest.
    """

    name: str
    subset: str | None
    split: str
    revision: str | None
    text_field: str

    licence = "see the dataset's card"

    @property
    def versions(self) -> dict[str, str]:
        return {"datasets": importlib.metadata.version("datasets"), "revision": self.revision or "not pinned"}

    def content(self, cache: Path) -> str:
        """Hash of a local folder's file names and contents; "" for the Hub: the spec has its name and revision."""
        folder = local_folder(self.name)
        return "" if folder is None else hash_of(_files_in(folder), cache)

    @property
    def pieces(self) -> int:
        with self._reading():
            return int(self._stream.num_shards)

    def documents(self, piece: int | None = None) -> Iterator[Document]:
        with self._reading():
            stream = self._stream
            if piece is not None:
                stream = stream.shard(num_shards=stream.num_shards, index=piece)
            for record in stream:
                text = record.get(self.text_field)
                if not isinstance(text, str):
                    raise UserError(
                        "a record without text",
                        file=self._where,
                        key="corpus.text_field",
                        found=f"{repr(text)[:80]}, fields {', '.join(record)}",
                        expected=f'text in "{self.text_field}"',
                    )
                yield Document(content_group(text), text)

    @property
    def _where(self) -> str:
        return f"dataset {self.name}, split {self.split}"

    @property
    def _stream(self) -> datasets.IterableDataset:
        folder = local_folder(self.name)
        if folder is None:
            _check_id(self.name)
            return _load(self.name, self.subset, self.split, self.revision, ())
        stamp = tuple((name, file.stat().st_size, file.stat().st_ctime_ns) for name, file in _files_in(folder))
        return _load(str(folder), self.subset, self.split, self.revision, stamp)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (UserError, GeneratorExit):
            raise
        except Exception as error:  # the Hub's client, its transport and every file format raise their own types
            raise UserError(
                "the dataset could not be read",
                file=self._where,
                key="corpus.name",
                found=f"{type(error).__name__}: {str(error)[:300]}",
                expected="a dataset, configuration and split that can be reached from here",
            ) from error


@lru_cache(maxsize=2)  # finding a dataset's files takes seconds, and each piece needs them
def _load(
    name: str, subset: str | None, split: str, revision: str | None, stamp: tuple[tuple[str, int, int], ...]
) -> datasets.IterableDataset:
    """stamp: a local folder's files, sizes and times, so that a changed folder is loaded again."""
    import datasets

    return datasets.load_dataset(name, subset, split=split, revision=revision, streaming=True)


def local_folder(name: str) -> Path | None:
    """The absolute path of a dataset that is a folder on this machine; None if `name` is an id on the Hub."""
    place = paths.expand(name, key="corpus.name")
    return Path(os.path.abspath(place)) if os.path.isdir(place) else None


def _files_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """(name inside `folder`, file), sorted; hidden files are skipped, links followed, cyclic links visited once."""
    seen: set[str] = set()
    found: dict[str, Path] = {}
    for where, below, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(where))
        shown = [name for name in below if not name.startswith(".")]
        below[:] = [name for name in shown if os.path.realpath(os.path.join(where, name)) not in seen]
        for name in names:
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                found[json.dumps(str(path.relative_to(folder)))] = path
    yield from sorted(found.items())


def _check_id(name: str) -> None:
    """Raises UserError for a name that is neither a folder nor formed like a dataset id on the Hub."""
    if not _ID.fullmatch(name) or ".." in name or "--" in name:
        raise UserError(
            "the dataset could not be read",
            key="corpus.name",
            found=f"{name}: no such folder, and no dataset's id",
            expected="a folder on this machine, or OWNER/NAME on the hub",
        )
