"""Local text: .txt (one document a file), JSON lines (plain or gzipped) and Parquet."""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from repro.corpus.documents import Document, content_group
from repro.errors import UserError

SUFFIXES = (".txt", ".jsonl", ".jsonl.gz", ".json.gz", ".parquet")
PIECE_BYTES = 1 << 20  # files smaller than this are read with their neighbours


@dataclass(frozen=True)
class FilesSource:
    """Files in the order of `paths`, those of one glob sorted by name; every document is its own group."""

    paths: tuple[str, ...]
    text_field: str

    licence = "not stated"

    @property
    def versions(self) -> dict[str, str]:
        return {}

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that `paths` name.

        Raises:
            UserError: a path that names no file, or a file of another kind than SUFFIXES.
        """
        found: list[Path] = []
        for pattern in self.paths:
            matches = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
            files = [Path(match).resolve() for match in matches if os.path.isfile(match)]
            if not files:
                raise UserError(
                    "no such files", file=pattern, key="corpus.paths", found="no file", expected="at least one file"
                )
            found += files
        for file in found:
            if not file.name.endswith(SUFFIXES):
                raise UserError(
                    "a file of an unknown kind",
                    file=file,
                    key="corpus.paths",
                    found=file.name,
                    expected=f"a name that ends in one of: {', '.join(SUFFIXES)}",
                )
        return tuple(found)

    def content(self, cache: Path) -> str:
        """Hash of the files' bytes. Files whose paths, sizes and times are as before are not read again."""
        stamp = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        known = cache / f".files-{hashlib.sha256(json.dumps(stamp).encode()).hexdigest()[:16]}"
        if known.is_file():
            return known.read_text()
        digest = hashlib.sha256()
        with ThreadPoolExecutor() as threads:  # hashing lets other threads run
            for file, found in zip(self.files, threads.map(_sha256, self.files), strict=True):
                digest.update(f"{file.suffixes}{found}".encode())
        cache.mkdir(parents=True, exist_ok=True)
        scratch = known.with_name(f"{known.name}.{os.getpid()}.tmp")
        scratch.write_text(digest.hexdigest())
        scratch.replace(known)
        return digest.hexdigest()

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
            for text in self._texts(file):
                yield Document(content_group(text), text)

    def _texts(self, file: Path) -> Iterator[str]:
        try:
            if file.name.endswith(".txt"):
                yield file.read_text(encoding="utf-8")
            elif file.name.endswith(".parquet"):
                yield from self._parquet(file)
            else:
                yield from self._json_lines(file)
        except UnicodeDecodeError as error:
            raise UserError("not text in UTF-8", file=file, found=str(error), expected="UTF-8") from error
        except (pa.ArrowInvalid, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(
                "a broken file", file=file, found=str(error), expected=f"a whole {file.suffix} file"
            ) from error

    def _json_lines(self, file: Path) -> Iterator[str]:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except json.JSONDecodeError as error:
                    raise UserError(
                        "not valid JSON",
                        file=f"{file}, line {number}",
                        found=f"{line.strip()[:80]!r} ({error})",
                        expected="one JSON object a line",
                    ) from error
                if not isinstance(record, dict) or not isinstance(record.get(self.text_field), str):
                    raise UserError(
                        "a record without text",
                        file=f"{file}, line {number}",
                        key="corpus.text_field",
                        found=f"{line.strip()[:80]!r}",
                        expected=f'text in "{self.text_field}"',
                    )
                yield record[self.text_field]

    def _parquet(self, file: Path) -> Iterator[str]:
        with pq.ParquetFile(file) as table:
            if self.text_field not in table.schema_arrow.names:
                raise UserError(
                    "a table without the text column",
                    file=file,
                    key="corpus.text_field",
                    found=", ".join(table.schema_arrow.names),
                    expected=f'a column "{self.text_field}"',
                )
            for batch in table.iter_batches(batch_size=1024, columns=[self.text_field]):
                for text in batch.column(0).to_pylist():
                    if not isinstance(text, str):
                        raise UserError(
                            "a row without text",
                            file=file,
                            key="corpus.text_field",
                            found=repr(text)[:80],
                            expected=f'text in "{self.text_field}"',
                        )
                    yield text


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
