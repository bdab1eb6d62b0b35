"""Token rows in memory-mapped Arrow files: written atomically, read without copying.

A shard holds one record batch with one column, FixedSizeList<uint16 or uint32>[sequence + 1].
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from repro.corpus.checks import ShardReader, group_hashes, rows_of_group
from repro.corpus.documents import sha256_of
from repro.corpus.manifest import ShardFile
from repro.corpus.packing import padding

SHARD_BYTES = 128 << 20
COUNTED = 4096  # rows counted at once


class ShardWriter:
    """Writes SPLIT-00000.arrow and so on, each with `shard_rows` rows, the last one with fewer.

    Args:
        folder: target folder.
        split: "train" or "heldout".
        width: tokens per row.
        shards: complete shards of an earlier writer, to continue after.
    """

    def __init__(
        self, folder: Path, split: str, width: int, dtype: np.dtype, shard_rows: int, shards: tuple[ShardFile, ...] = ()
    ):
        self.folder, self.split, self.width, self.dtype = folder, split, width, dtype
        self.shards = shards
        self._rows = np.empty((shard_rows, width), dtype)  # of the current shard
        self._count = 0

    def add(self, rows: np.ndarray) -> bool:
        """Appends (any number of rows, width) of `dtype`; returns whether a shard was filled."""
        filled = False
        while len(rows):
            some = rows[: len(self._rows) - self._count]
            self._rows[self._count : self._count + len(some)] = some
            self._count += len(some)
            rows = rows[len(some) :]
            if self._count == len(self._rows):
                self.close()
                filled = True
        return filled

    def close(self) -> tuple[ShardFile, ...]:
        """Writes the remaining rows. Returns all shards."""
        if self._count:
            self._write(self._rows[: self._count])
            self._count = 0
        return self.shards

    def _write(self, rows: np.ndarray) -> None:
        path = self.folder / f"{self.split}-{len(self.shards):05d}.arrow"
        scratch = path.with_suffix(".tmp")
        column = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), self.width)
        schema = pa.schema([("tokens", pa.list_(pa.from_numpy_dtype(self.dtype), self.width))])
        with scratch.open("wb") as file:
            with pa.ipc.new_file(file, schema) as writer:
                writer.write_batch(pa.record_batch([column], names=["tokens"]))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
        size = rows_of_group(self.width, self.dtype)
        self.shards += (
            ShardFile(path.name, len(rows), path.stat().st_size, sha256_of(path), size, group_hashes(rows, size)),
        )


class TokenRows:
    """The rows of one split, over all its shards.

    Args:
        folder: folder of the shards.
        shards: the manifest's entries.
        width: tokens per row, sequence + 1.

    Raises:
        UserError: a shard is missing, or its size or layout doesn't match the manifest.
    """

    def __init__(self, folder: Path, shards: tuple[ShardFile, ...], width: int):
        self.folder, self.shards = folder, shards
        self._readers = [ShardReader(folder, shard, width) for shard in shards]
        self.views = [reader.view for reader in self._readers]  # each (rows, width), read-only, mapped, unchecked
        self._ends = np.cumsum([shard.rows for shard in shards])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Copies of the rows at `indices` (n,), in that order: (n, width).

        Raises:
            UserError: one of them is damaged.
        """
        shard_of = np.searchsorted(self._ends, indices, side="right")
        rows = np.empty((len(indices), self.views[0].shape[1]), self.views[0].dtype)
        for number in np.unique(shard_of):
            here = shard_of == number
            first = self._ends[number] - self.shards[number].rows
            rows[here] = self._readers[number].take(indices[here] - first)
        return rows

    def recheck(self) -> None:
        """Hashes what was taken again where a file was touched. Raises UserError at the first difference."""
        for reader in self._readers:
            reader.recheck()

    def verify(self, sha256: str | None = None) -> None:
        """Reads every shard and checks its hash, and `sha256`, the hash of all rows in order.

        Raises:
            UserError: a hash differs.
        """
        with ThreadPoolExecutor() as threads:  # hashing lets other threads run
            shards = [threads.submit(reader.verify) for reader in self._readers]
            digest = hashlib.sha256()
            for view in self.views if sha256 is not None else ():
                digest.update(view.data)
            for shard in shards:
                shard.result()
        if sha256 is not None and digest.hexdigest() != sha256:
            raise self._readers[0].damaged(f"rows with sha256 {digest.hexdigest()}", f"sha256 {sha256} of all rows")


@dataclass(frozen=True)
class Histogram:
    """How often each token occurs in rows. counts: (vocab,) int64, by token id."""

    counts: np.ndarray

    @property
    def unused(self) -> int:
        """Number of ids that no row contains."""
        return int((self.counts == 0).sum())

    @property
    def entropy(self) -> float:
        """Entropy of the token distribution, in bits: the loss of a model that knows frequencies but no context."""
        share = self.counts[self.counts > 0] / self.counts.sum()
        return float(-(share * np.log2(share)).sum())

    def covering(self, share: float) -> int:
        """How many of the most frequent tokens make up `share` of the text."""
        running = np.cumsum(np.sort(self.counts)[::-1])
        return 1 + int(np.searchsorted(running, share * running[-1]))

    def most_frequent(self, count: int) -> list[int]:
        """Ids, the most frequent first; ties by lower id."""
        order = np.argsort(-self.counts, kind="stable")[:count]
        return [int(i) for i in order if self.counts[i]]


def histogram(rows: TokenRows, vocab: int) -> Histogram:
    """Counts the tokens of all rows, without padding."""
    counts = np.zeros(vocab, np.int64)
    for view in rows.views:
        for first in range(0, len(view), COUNTED):
            tokens = view[first : first + COUNTED].reshape(-1)
            counts += np.bincount(tokens[tokens != padding(tokens.dtype)], minlength=vocab)
    return Histogram(counts)
