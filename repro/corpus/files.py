"""Local text: .txt (one document a file), JSON and JSON lines (plain or gzipped) and Parquet."""

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
from repro.corpus.documents import Document, content_group
from repro.corpus.records import SUFFIXES, check_kind, texts_of

__all__ = ["SUFFIXES", "FilesSource", "hash_of", "local"]

PIECE_BYTES = 1 << 20  # files smaller than this are read with their neighbours


@dataclass(frozen=True)
class FilesSource:
    """Files in the order of `paths`, those of one pattern sorted by name, each once; every document is its own group."""

    paths: tuple[str, ...]
    text_field: str

    licence = "not stated"

    @property
    def versions(self) -> dict[str, str]:
        return {}

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that `paths` name; one that several name, or that has several names, where it comes first.

        Raises:
            UserError: a path that names no file, or a file of another kind than SUFFIXES.
        """
        found: dict[tuple[int, int], Path] = {}
        for pattern in self.paths:
            for file in paths.files(pattern, key="corpus.paths"):
                check_kind(file)
                facts = file.stat()
                found.setdefault((facts.st_dev, facts.st_ino), file)
        return tuple(found.values())

    def content(self, cache: Path) -> str:
        """Hash of the files' bytes. Files whose paths, sizes and times are as before are not read again."""
        return hash_of(((str(file.suffixes), file) for file in self.files), cache)

    @cached_property
    def _pieces(self) -> list[list[Path]]:
        found: list[list[Path]] = []
        size = PIECE_BYTES
        for file in self.files:
            if size >= PIECE_BYTES:
                found.append([])
                size = 0
            found[-1].append(file)
            size += file.stat().st_size
        return found

    @property
    def pieces(self) -> int:
        return len(self._pieces)

    def documents(self, piece: int | None = None) -> Iterator[Document]:
        for file in self.files if piece is None else self._pieces[piece]:
            for text in texts_of(file, self.text_field):
                yield Document(content_group(text), text)


def local(path: str) -> str:
    """A path or pattern as processes with another working folder and other variables find it."""
    return os.path.abspath(paths.expand(path, key="corpus.paths"))


def hash_of(named: Iterable[tuple[str, Path]], cache: Path) -> str:
    """Hash of files' bytes and of what each is called; kept in the folder `cache` for as long as no file is touched."""
    files = list(named)
    stamp = []
    for name, file in files:
        fact = file.stat()  # the time of change, which no copying sets back as it does that of modification, too
        stamp.append((str(file), name, fact.st_size, fact.st_mtime_ns, fact.st_ctime_ns))
    known = cache / f".files-{hashlib.sha256(json.dumps(stamp).encode()).hexdigest()[:16]}"
    if known.is_file() and re.fullmatch(r"[0-9a-f]{64}", kept := known.read_text(errors="replace")):
        return kept
    digest = hashlib.sha256()
    with ThreadPoolExecutor() as threads:  # hashing lets other threads run
        found = threads.map(_sha256, (file for _, file in files))
        for (name, _), sha256 in zip(files, found, strict=True):
            digest.update(f"{name}{sha256}".encode())
    cache.mkdir(parents=True, exist_ok=True)
    scratch = known.with_name(f"{known.name}.{os.getpid()}.tmp")
    scratch.write_text(digest.hexdigest())
    scratch.replace(known)
    return digest.hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
