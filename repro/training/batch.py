"""Batch: sequences on a device, as the model takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from repro.corpus import Corpus
from repro.corpus.packing import IGNORED


@dataclass(frozen=True)
class Batch:
    """Some sequences.

    Attributes:
        tokens: (B, T) int64.
        targets: (B, T) int64, the next token, IGNORED where no loss is taken.
        positions: (B, T) int64, a token's place in its document; None where every sequence is one document.
        documents: (documents + 1,) int32, where each document begins in the (B * T,) flattened tokens, and B * T at the
            end; a sequence's padding counts as a document. None where every sequence is one.
        bearing: number of tokens with a loss.
    """

    tokens: torch.Tensor
    targets: torch.Tensor
    positions: torch.Tensor | None
    documents: torch.Tensor | None
    bearing: int

    @classmethod
    def of(cls, text: Corpus, rows: np.ndarray) -> Batch:
        """(B, T + 1) rows of a corpus, on the CPU."""
        if text.manifest.spec.packing == "concatenate":
            whole = torch.from_numpy(rows.astype(np.int64))
            tokens, targets = whole[:, :-1], whole[:, 1:]
            return cls(tokens, targets, None, None, tokens.numel())
        made = text.targets(rows)
        tokens, targets = torch.from_numpy(made.inputs), torch.from_numpy(made.labels)
        segments = made.segments
        begins = np.ones(segments.shape, bool)
        begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
        documents = np.append(np.flatnonzero(begins), segments.size).astype(np.int32)
        bearing = int((made.labels != IGNORED).sum())
        return cls(tokens, targets, torch.from_numpy(made.positions), torch.from_numpy(documents), bearing)

    def pinned(self) -> Batch:
        """The same in page-locked memory, from which a GPU copies while it computes."""
        return self._each(torch.Tensor.pin_memory)

    def on(self, device: torch.device) -> Batch:
        """The same on a device."""
        made = self._each(lambda tensor: tensor.to(device, non_blocking=True))
        if made.documents is not None:
            torch._dynamo.mark_dynamic(made.documents, 0)  # their number differs from batch to batch
        return made

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        positions, documents = (None if t is None else change(t) for t in (self.positions, self.documents))
        return Batch(change(self.tokens), change(self.targets), positions, documents, self.bearing)
