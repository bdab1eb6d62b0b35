"""Joins the token parts of one split, in order, and writes its shards."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from repro import strict
from repro.corpus.encode import LISTED_GROUPS, Side, TokenPart
from repro.corpus.manifest import ShardFile, Split
from repro.corpus.packing import Packer, Packing, padding
from repro.corpus.shards import ShardWriter, TokenRows
from repro.store.folder import Folder


@strict.dataclass
class JoinedCounts:
    """Counts of what has been joined so far. names: the first groups' names; last: the last group's name."""

    documents: int = 0
    groups: int = 0
    characters: int = 0
    tokens: int = 0
    rows: int = 0
    names: tuple[str, ...] = ()
    last: str | None = None

    def plus(self, part: TokenPart) -> JoinedCounts:
        again = bool(part.names) and part.names[0] == self.last  # a group's documents are adjacent
        return dataclasses.replace(
            self,
            documents=self.documents + len(part.ends),
            groups=self.groups + part.groups - again,
            characters=self.characters + part.characters,
            names=(*self.names, *part.names[again:])[:LISTED_GROUPS],
            last=part.last if part.names else self.last,
        )

    def plus_rows(self, rows: np.ndarray) -> JoinedCounts:
        tokens = int(np.count_nonzero(rows != padding(rows.dtype)))
        return dataclasses.replace(self, tokens=self.tokens + tokens, rows=self.rows + len(rows))


@strict.dataclass
class Journal:
    """Where to resume: the complete shards, and the state before the part that filled the last one.

    at: number of earlier parts. carry: tokens left over from them. counts: counts of them.
    """

    at: int = 0
    carry: tuple[int, ...] = ()
    counts: JoinedCounts = JoinedCounts()
    shards: tuple[ShardFile, ...] = ()


class Joiner:
    """Writes the shards of `side` to `folder`; `save`, called after a shard is filled, writes a journal to `work`.

    Resumes from an existing journal: the next part to add is number `at`.

    Raises:
        UserError: a shard listed in the journal is damaged.
    """

    def __init__(
        self, folder: Path, work: Folder, side: Side, packing: Packing, sequence: int, dtype: np.dtype, shard_rows: int
    ):
        self._work, self._file = work, f"{side}.json"
        self._journal = Journal()
        if work.exists(self._file):
            self._journal = strict.build(Journal, work.read_json(self._file), file=f"{work}/{self._file}")
        kept = self._journal.shards
        self.at, self.counts = self._journal.at, self._journal.counts
        self._packer = Packer(packing, sequence, dtype, self._journal.carry)
        self._shards = ShardWriter(folder, side, sequence + 1, dtype, shard_rows, kept)
        self._kept = sum(shard.rows for shard in kept)
        self._digest = hashlib.sha256()
        for shard in kept:
            rows = TokenRows(folder, (shard,), sequence + 1)
            rows.verify()
            self._digest.update(rows.views[0].data)

    def add(self, part: TokenPart) -> bool:
        """Adds the next part; returns whether it filled a shard."""
        before = Journal(self.at, tuple(self._packer.carry.tolist()), self.counts)
        self.at, self.counts = self.at + 1, self.counts.plus(part)
        filled = self._put(self._packer.add(part.tokens, part.ends))
        if filled:
            self._journal = dataclasses.replace(before, shards=self._shards.shards)
        return filled

    def save(self) -> int:
        """Writes the journal. Returns how many of the parts are no longer needed."""
        self._work.write_json(self._file, dataclasses.asdict(self._journal))
        return self._journal.at

    def close(self) -> Split:
        """Writes the last shard. Returns the split; without shards if the text filled no row."""
        self._put(self._packer.rest())
        shards, n = self._shards.close(), self.counts
        return Split(n.documents, n.groups, n.characters, n.tokens, n.rows, self._digest.hexdigest(), shards)

    def _put(self, rows: np.ndarray) -> bool:
        fresh = np.ascontiguousarray(rows[max(0, self._kept - self.counts.rows) :])  # the rest is in kept shards
        self.counts = self.counts.plus_rows(rows)
        self._digest.update(fresh.data)
        return self._shards.add(fresh)
