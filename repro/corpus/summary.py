"""What a corpus's manifest says of it: all that a driver needs, whose machine needn't hold the rows."""

from __future__ import annotations

from pathlib import Path

from repro.corpus.manifest import Manifest
from repro.errors import UserError
from repro.store.folder import Folder


class CorpusSummary:
    """A corpus without its rows.

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
