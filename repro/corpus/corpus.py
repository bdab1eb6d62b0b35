"""A finished corpus folder, opened: its manifest, its rows, and the batch of any step."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np

from repro.corpus.encode import TOKENIZER
from repro.corpus.manifest import Manifest
from repro.corpus.order import rows_at
from repro.corpus.packing import Targets, padding, targets
from repro.corpus.shards import TokenRows
from repro.corpus.tokenizer import Tokenizer
from repro.errors import UserError
from repro.store.folder import Folder


class CorpusSummary:
    """A corpus without its rows: all that a driver needs, whose machine needn't hold them.

    Args:
        place: its folder, on this machine or on a store.

    Raises:
        UserError: it has no manifest, or a damaged one.
    """

    def __init__(self, place: Folder | Path):
        self.place = place
        self.manifest = Manifest.read(place if isinstance(place, Folder) else Folder.open(place))

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.place.name

    @property
    def hash(self) -> str:
        return self.manifest.hash

    @property
    def unique_tokens(self) -> int:
        """Tokens that can be trained on before any text repeats: `sequence` per row."""
        return self.manifest.train.rows * self.manifest.sequence

    def check(self, tokens: int, repeat: bool, run_id: str) -> None:
        """Raises UserError if a run needs more tokens than the corpus has and may not repeat text."""
        if tokens > self.unique_tokens and not repeat:
            raise UserError(
                f"{run_id} needs more text than the corpus has",
                file=self.place,
                key="repeat",
                found=f"{self.unique_tokens:,} unique tokens",
                expected=f"{tokens:,} of them, or `repeat: true`",
            )

    def check_heldout(self, blocks: int, block_sequences: int) -> None:
        """Raises UserError if there are fewer held-out rows than this."""
        if blocks * block_sequences > self.manifest.heldout.rows:
            raise UserError(
                "too little held-out text",
                file=self.place,
                key="evaluation.blocks",
                found=f"{blocks} blocks of {block_sequences} sequences",
                expected=f"at most {self.manifest.heldout.rows} sequences",
            )


class Corpus(CorpusSummary):
    """Token rows of a corpus.

    Opening checks the size of every shard, reading a row checks its hash (checks.py), and `verify` checks all hashes.

    Raises:
        UserError: the folder holds no complete corpus.
    """

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.folder = folder
        self.train = TokenRows(folder, self.manifest.train.shards, self.manifest.sequence + 1)
        self.heldout = TokenRows(folder, self.manifest.heldout.shards, self.manifest.sequence + 1)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        data = self._tokenizer_json()
        return Tokenizer.from_bytes(data, self.manifest.bos, self.manifest.eos)

    def batch(
        self, step: int, batch: int, seed: int, first: int = 0, count: int | None = None, *, position: int = 0
    ) -> np.ndarray:
        """Rows of a step's batch, or a worker's share of them: (count, sequence + 1).

        Args:
            step: 0-based.
            batch: sequences per step over all workers; the order depends on it, not on the worker count.
            seed: of the data order.
            first, count: which of the batch's rows; all from `first` if count is None.
            position: rows of the order read before step 0, by the runs that this one starts from.
        """
        share = slice(first, None if count is None else first + count)
        return self.train.take(rows_at(step, batch, len(self.train), seed, position)[share])

    def heldout_blocks(self, blocks: int, block_sequences: int) -> np.ndarray:
        """The same held-out rows for every run, spread evenly: (blocks, block_sequences, sequence + 1).

        A block consists of neighbouring text, so that blocks are nearly independent of each other.

        Raises:
            UserError: fewer held-out rows than asked for.
        """
        self.check_heldout(blocks, block_sequences)
        wanted, rows = blocks * block_sequences, len(self.heldout)
        sample = self.heldout.take(np.arange(wanted) * rows // wanted)
        return sample.reshape(blocks, block_sequences, -1)

    def targets(self, rows: np.ndarray) -> Targets:
        """Inputs, labels, positions and segments of `rows`, (batch, sequence + 1)."""
        return targets(rows, self.manifest.spec.packing, self.manifest.bos, self.manifest.eos)

    def samples(self, rows: TokenRows, count: int) -> list[str]:
        """The first `count` rows of a split, decoded."""
        return [self.tokenizer.decode(row[row != padding(row.dtype)].tolist()) for row in rows.views[0][:count]]

    def verify(self) -> None:
        """Checks every file and all rows against their hashes. Raises UserError at the first difference."""
        self._tokenizer_json()
        self.train.verify(self.manifest.train.sha256)
        self.heldout.verify(self.manifest.heldout.sha256)

    def recheck(self) -> None:
        """Checks the rows that were read again, before results count; costs nothing if no file changed.

        Raises:
            UserError: a shard is gone or damaged.
        """
        self.train.recheck()
        self.heldout.recheck()

    def _tokenizer_json(self) -> bytes:
        path = self.folder / TOKENIZER
        data = path.read_bytes() if path.is_file() else b""
        found = hashlib.sha256(data).hexdigest() if path.is_file() else "no such file"
        if found != self.manifest.tokenizer_sha256:
            raise UserError(
                "a damaged tokenizer; delete its folder to rebuild the corpus",
                file=path,
                key="tokenizer_sha256",
                found=found,
                expected=self.manifest.tokenizer_sha256,
            )
        return data


def describe(corpus: Corpus, samples: int = 2) -> str:
    """A readable summary: counts, overlap, and the first rows of both splits, decoded."""
    manifest = corpus.manifest
    overlap = manifest.overlap
    versions = ", ".join(f"{k} {v}" for k, v in manifest.versions.items())
    lines = [
        _shown(f"{manifest.spec.name}: {manifest.licence}; {versions}"),
        f"folder      {corpus.folder}",
        f"hash        {corpus.hash}",
        f"text        sha256 {manifest.text_sha256}",
        f"tokens      vocabulary {manifest.vocab:,}, sequence {manifest.sequence:,}, packing {manifest.spec.packing}",
        f"unique      {corpus.unique_tokens:,} training tokens before any text repeats",
    ]
    for name, split in (("train", manifest.train), ("held out", manifest.heldout)):
        lines.append(
            f"{name:<12}{split.groups:,} groups, {split.documents:,} documents, "
            f"{split.characters:,} characters, {split.tokens:,} tokens, {split.rows:,} rows, "
            f"{len(split.shards)} shard(s)"
        )
        if split.unknown is not None:
            lines.append(
                f"{'':<12}{split.unknown:,} tokens ({split.unknown / split.tokens:.3%}) are unknown characters"
            )
    if manifest.heldout_groups is not None:
        shown = manifest.heldout_groups[:12]
        more = ", ..." if len(shown) < len(manifest.heldout_groups) else ""
        lines.append(f"{'':<12}{_shown(', '.join(shown))}{more}")
    lines.append(
        f"overlap     {overlap.share:.1%} of {overlap.heldout:,} held-out {overlap.words}-grams "
        "occur in the training text"
    )
    for name, rows in (("train", corpus.train), ("held out", corpus.heldout)):
        lines += [f"{name:<12}{text[:160]!r}" for text in corpus.samples(rows, samples)]
    return "\n".join(lines)


def _shown(text: str) -> str:
    """A manifest's text made safe for a terminal: control characters are replaced."""
    return "".join(c if c.isprintable() else "�" for c in text)
