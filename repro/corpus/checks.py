"""Rows checked against the manifest's hashes whenever they are read, so that damaged text is never trained on.

A manifest keeps a hash of every group of rows (older manifests: of every shard). The first read of a group checks its
hash and keeps a checksum of each of its rows, computed from the same bytes; every read of a row is then compared with
its checksum. So a shard that is overwritten between two steps is noticed when a step reads it, and nothing is hashed
twice.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from repro.corpus.documents import sha256_of
from repro.corpus.manifest import ShardFile
from repro.errors import UserError

GROUP_BYTES = 1 << 18  # bytes of rows that share a hash: the cost of the first read of one of them
HEX = 32  # hex digits kept of a group's SHA-256


def rows_of_group(width: int, dtype: np.dtype) -> int:
    """Number of rows that share a hash."""
    return max(1, GROUP_BYTES // (width * dtype.itemsize))


def group_hashes(rows: np.ndarray, size: int) -> tuple[str, ...]:
    """The hash of every `size` rows of (rows, width), in order."""
    return tuple(_hash(rows[first : first + size]) for first in range(0, len(rows), size))


def row_sums(rows: np.ndarray) -> np.ndarray:
    """A 64-bit checksum of each row of (rows, width), (rows,) uint64; detects any change of one token, nearly any other.

    A sum with odd factors modulo 2^64: a single difference times its factor is never 0. Checksums are never stored.
    """
    sums: np.ndarray = np.einsum("ij,j->i", rows, _factors(rows.shape[1]), dtype=np.uint64, casting="safe")
    return sums


@lru_cache(maxsize=8)
def _factors(width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1 << 64, size=width, dtype=np.uint64) | np.uint64(1)


@lru_cache(maxsize=4096)
def _known(shard: ShardFile, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Checksums of a shard's rows, (rows,) uint64, valid where the group's hash has been checked, (groups,) bool.

    They depend only on its hashes, so later runs in this process reuse them.
    """
    return np.empty(shard.rows, np.uint64), np.zeros(len(shard.groups) or 1, bool)


class ShardReader:
    """One memory-mapped shard. view: its rows, (rows, width), read-only and unchecked; `take` checks them.

    Args:
        folder: folder of the shard.
        shard: the manifest's entry.
        width: tokens per row.

    Raises:
        UserError: the file is missing, or its size or layout doesn't match the manifest.
    """

    def __init__(self, folder: Path, shard: ShardFile, width: int):
        self.path, self.shard, self.width = folder / shard.file, shard, width
        self._name = str(self.path)  # faster for stat than a Path
        self._file = _identity(self._name)  # taken before mapping, so that any later write changes it
        if self._file is None or self._file[2] != shard.bytes:
            found = "no such file" if self._file is None else f"{self._file[2]} bytes"
            raise self.damaged(found, f"{shard.bytes} bytes")
        try:
            self._bytes = pa.memory_map(str(self.path)).read_buffer()
            tokens = pa.ipc.open_file(self._bytes).get_batch(0).column(0).flatten()
            self.view = tokens.to_numpy(zero_copy_only=True).reshape(shard.rows, width)
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise self.damaged(str(error), f"{shard.rows} rows of {width} tokens") from error
        if self.view.dtype not in (np.uint16, np.uint32):
            raise self.damaged(f"tokens as {self.view.dtype}", "uint16 or uint32")
        self._group_rows = shard.group_rows or shard.rows
        self._sums, self._is_known = _known(shard, width)
        self._read = np.zeros(len(self._is_known), bool)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copies of the rows at `rows` (n,): (n, width).

        Raises:
            UserError: one of them doesn't match the manifest's hashes.
        """
        now = _identity(self._name)
        if now is not None and self._file is not None and now[:2] == self._file[:2] and now[2] != self._file[2]:
            # Reading a truncated mapping would kill the process.
            raise self.damaged(f"{now[2]} bytes", f"{self.shard.bytes} bytes")
        found: np.ndarray = self.view[rows]
        groups = rows // self._group_rows
        for group in sorted(set(groups[~self._is_known[groups]].tolist())):
            first = group * self._group_rows
            self._sums[first : first + self._group_rows] = row_sums(self._checked(group))
            self._is_known[group] = True
        self._read[groups] = True
        wrong = row_sums(found) != self._sums[rows]
        if wrong.any():
            raise self.damaged(f"row {rows[wrong.argmax()]} has changed since it was first read", "the same tokens")
        return found

    def recheck(self) -> None:
        """Hashes the groups that were read again, if the file was touched since it was opened.

        Raises:
            UserError: the file is gone, or a group's hash differs.
        """
        if self._read.any() and _identity(self._name) != self._file:
            again = ShardReader(self.path.parent, self.shard, self.width)
            for group in np.flatnonzero(self._read).tolist():
                again._checked(group)

    def verify(self) -> None:
        """Reads the whole file; checks its hash and those of all groups. Raises UserError at the first difference."""
        found = sha256_of(self.path)
        if found != self.shard.sha256:
            raise self.damaged(f"sha256 {found}", f"sha256 {self.shard.sha256}")
        for group in range(len(self.shard.groups)):
            self._checked(group)

    def _checked(self, group: int) -> np.ndarray:
        """A copy of a group's rows, checked against its hash."""
        if not self.shard.groups:
            data = self._bytes.to_pybytes()
            found, wanted = hashlib.sha256(data).hexdigest(), self.shard.sha256
            at = self.view.__array_interface__["data"][0] - self._bytes.address
            rows = np.frombuffer(data, self.view.dtype, self.view.size, at).reshape(self.view.shape)
        else:
            first = group * self._group_rows
            rows = self.view[first : first + self._group_rows].copy()
            found, wanted = _hash(rows), self.shard.groups[group]
        if found != wanted:
            raise self.damaged(f"sha256 {found}", f"sha256 {wanted}, of {len(rows)} rows")
        return rows

    def damaged(self, found: str, expected: str) -> UserError:
        return UserError(
            "a damaged token shard; delete its folder to rebuild it",
            file=self.path,
            key="shards",
            found=found,
            expected=expected,
        )


def _hash(rows: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()[:HEX]


def _identity(path: str) -> tuple[int, int, int, int, int] | None:
    """Changes whenever the file is written to or replaced; None if it doesn't exist."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
