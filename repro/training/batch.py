"""Batches: sequences as the model takes them, and a rank's micro-batches of each step, read ahead while a GPU computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from repro.corpus import Corpus
from repro.corpus.packing import IGNORED
from repro.training.run import RunInProgress

AHEAD = 2  # steps read before they are needed; one hides reading, two also a slow first read of a shard


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


class Batches:
    """The micro-batches of one rank.

    On a GPU a thread reads the next steps' rows, makes their targets and pins them, so that copying them waits for nothing.
    On a CPU, where a thread would take time from the training itself, they are made when asked for.

    Args:
        run: the run.
        rank: whose share of each batch.
        ahead: steps to read ahead; None: AHEAD on a GPU, otherwise 0.
    """

    def __init__(self, run: RunInProgress, rank: int, ahead: int | None = None):
        self.run, self.rank = run, rank
        self.on_gpu = run.device.type == "cuda"
        self.ahead = (AHEAD if self.on_gpu else 0) if ahead is None else ahead
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="batches") if self.ahead else None
        self._read: dict[int, Future[list[Batch]]] = {}

    def of(self, step: int) -> list[Batch]:
        """The micro-batches of a step, in host memory. Raises what reading them raised."""
        if self._reader is None:
            return self._made(step)
        last = min(step + self.ahead, self.run.spec.schedule.total_steps - 1)
        wanted = range(step, max(step, last) + 1)
        self._read = {at: self._read.get(at) or self._reader.submit(self._made, at) for at in wanted}
        return self._read.pop(step).result()

    def close(self) -> None:
        """Ends the thread."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)

    def _made(self, step: int) -> list[Batch]:
        run, rows = self.run, self.run.rows(step, self.rank)
        made = [Batch.of(run.text, rows[first : first + run.micro]) for first in range(0, run.share, run.micro)]
        return [batch.pinned() for batch in made] if self.on_gpu else made
