"""Batches: a rank's micro-batches of each step, read ahead while a GPU computes."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from repro.training.batch import Batch
from repro.training.run import RunInProgress

AHEAD = 2  # steps read before they are needed; one hides reading, two also a slow first read of a shard


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
