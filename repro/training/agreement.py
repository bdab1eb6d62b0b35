"""What the ranks of a run decide together: whether to stop, and whether a checkpoint is due.

Any rank may be asked to stop, and only the first rank's clock counts; so the ranks tell each other, at the same
micro-batch, and then all do the same. They do so about every LOOK seconds, however long a step takes: every few
micro-batches of a slow step, every few hundred steps of a fast one. Only then do they wait for a GPU, which must not be
left far behind either: what has been launched on it is computed before anybody stops.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.distributed as dist

LOOK = 3.0  # seconds between two exchanges
MOST = 10_000  # maximum micro-batches between two exchanges


class Agreement:
    """The decisions of a group of ranks. All calls are made by all ranks, at the same points of the training loop.

    Args:
        asked: whether this rank has been asked to stop; fast, since a single rank on a CPU calls it after every
            micro-batch.
        minutes: minutes between checkpoints.
        device: the device on which ranks exchange tensors.

    Attributes:
        stop: whether to stop; the same on every rank.
        save: whether a checkpoint is due; the same on every rank.
    """

    def __init__(self, asked: Callable[[], bool], minutes: float, device: torch.device):
        self.asked, self.minutes, self.device = asked, minutes, device
        self.stop = self.save = False
        self._world = dist.get_world_size()
        self._alone = self._world == 1 and device.type == "cpu"
        self._saved = self._looked = time.monotonic()
        self._pace = LOOK  # seconds per micro-batch; until the first are known to be computed, each is taken to be slow
        self._passed, self._next = 0, 1

    def micro_batch(self) -> None:
        """Counts a micro-batch, and exchanges with the other ranks if it is time to. Collective."""
        self._passed += 1
        if self._passed >= self._next:
            self._exchange()

    def saved(self) -> None:
        """Makes the next checkpoint due after another `minutes`."""
        self._saved, self.save = time.monotonic(), False

    def _exchange(self) -> None:
        stop, due = self.asked(), time.monotonic() - self._saved >= 60 * self.minutes
        if self._alone:
            self.stop, self.save = self.stop or stop, due
            return
        pause = min(max(1, int(LOOK / self._pace)), MOST)
        said = torch.tensor([stop, due, pause] if dist.get_rank() == 0 else [stop, 0, 0], device=self.device)
        if self._world > 1:
            dist.all_reduce(said, dist.ReduceOp.MAX)
        stop, due, self._next = said.tolist()
        self.stop, self.save = self.stop or bool(stop), bool(due)
        # Measured once the device has computed them, and told the others at the next exchange.
        now = time.monotonic()
        self._pace, self._looked, self._passed = max(now - self._looked, 1e-6) / self._passed, now, 0
