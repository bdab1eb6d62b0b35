"""Local text files: .txt (one document per file), JSON and JSON lines (plain or gzipped) and Parquet."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from repro import paths
from repro.corpus.chunks import by_size
from repro.corpus.documents import Document, content_group, sha256_of
from repro.corpus.records import check_kind, texts_of
from repro.errors import located
from repro.store.folder import Folder

PIECE_BYTES = 1 << 20  # smaller files are read together with their neighbours


@dataclass(frozen=True)
class FilesSource:
    """Files in the order of `paths`, each pattern's matches sorted, each file once; every document is its own group."""

    paths: tuple[str, ...]
    text_field: str

    licence = "not stated"

    @property
    def versions(self) -> dict[str, str]:
        return {}

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that `paths` match; a file matched several times, or with several names, at its first position.

        Raises:
            UserError: a path that matches no file, or a file whose suffix isn't in SUFFIXES.
        """
        found: dict[tuple[int, int], Path] = {}
        with located(None, "corpus.paths"):
            for file in (file for pattern in self.paths for file in paths.files(pattern)):
                check_kind(file)
                facts = file.stat()
                found.setdefault((facts.st_dev, facts.st_ino), file)
        return tuple(found.values())

    def content(self, cache: Path) -> str:
        """Hash of the files' bytes. Files with unchanged paths, sizes and times are not read again."""
        return hash_of(((str(file.suffixes), file) for file in self.files), cache)

    @cached_property
    def _pieces(self) -> list[list[Path]]:
        return list(by_size(self.files, lambda file: file.stat().st_size, PIECE_BYTES))

    @property
    def pieces(self) -> int:
        return len(self._pieces)

    def documents(self, piece: int | None = None) -> Iterator[Document]:
        for file in self.files if piece is None else self._pieces[piece]:
            for text in texts_of(file, self.text_field):
                yield Document(content_group(text), text)


def local(path: str) -> str:
    """A path or pattern made absolute, for processes with another working folder and environment."""
    return os.path.abspath(paths.expand(path, key="corpus.paths"))


def hash_of(named: Iterable[tuple[str, Path]], cache: Path) -> str:
    """Hash of files' names and bytes; cached in the folder `cache` until a file is touched."""
    files = list(named)
    stamp = []
    for name, file in files:
        fact = file.stat()  # ctime too: copying a file may set mtime back, but never ctime
        stamp.append((str(file), name, fact.st_size, fact.st_mtime_ns, fact.st_ctime_ns))
    known = cache / f".files-{hashlib.sha256(json.dumps(stamp).encode()).hexdigest()[:16]}"
    if known.is_file() and re.fullmatch(r"[0-9a-f]{64}", kept := known.read_text(errors="replace")):
        return kept
    digest = hashlib.sha256()
    with ThreadPoolExecutor() as threads:  # hashing lets other threads run
        found = threads.map(sha256_of, (file for _, file in files))
        for (name, _), sha256 in zip(files, found, strict=True):
            digest.update(f"{name}{sha256}".encode())
    Folder.open(cache).write(known.name, digest.hexdigest().encode())
    return digest.hexdigest()
