"""Watching a run: losses that are not finite or jump, and memory that doesn't suffice."""

from __future__ import annotations

import errno
import math

import torch
import torch.distributed as dist

from repro.store.run_folder import RunFailed

WINDOW = 10  # steps of the mean that a loss is compared with, and between two looks


class Watch:
    """Training losses since the last look. They stay on the device between looks, so that a GPU need not wait.

    Args:
        bound: nats by which a loss may exceed the lowest mean of WINDOW steps so far; None allows any.
        recent: the last losses before this one, at most WINDOW.
        lowest: the lowest mean so far; None before there is one.
    """

    def __init__(self, bound: float | None, recent: list[float], lowest: float | None):
        self.bound, self.recent, self.lowest = bound, list(recent), lowest
        self.stopped = False
        self._asked = False
        self._waiting: list[tuple[int, torch.Tensor]] = []

    @property
    def waiting(self) -> int:
        """Steps since the last look."""
        return len(self._waiting)

    def add(self, step: int, loss: torch.Tensor) -> None:
        """Takes this rank's part of the mean loss of a step, a scalar."""
        self._waiting.append((step, loss))

    def ask_to_stop(self) -> None:
        """From this rank: at the next look `stopped` is true on every rank."""
        self._asked = True

    def look(self) -> list[float]:
        """The losses since the last look, summed over ranks. Collective.

        Raises:
            RunFailed: one is not finite, or a spike; on every rank alike.
        """
        if not self._waiting:
            return []
        steps = [step for step, _ in self._waiting]
        mine = [loss for _, loss in self._waiting]
        losses = torch.stack([*mine, torch.full_like(mine[0], float(self._asked))])
        self._waiting = []
        if dist.get_world_size() > 1:
            dist.all_reduce(losses)
        *values, asked = losses.tolist()
        self.stopped = asked > 0
        for step, value in zip(steps, values, strict=True):
            self._check(step, value)
        return values

    def _check(self, step: int, value: float) -> None:
        if not math.isfinite(value):
            raise RunFailed(f"the loss is {value}, not finite, at step {step}")
        if self.bound is not None and self.lowest is not None and value > self.lowest + self.bound:
            raise RunFailed(
                f"the loss spiked to {value:.3f} at step {step}: over resources.spike = {self.bound:g} nats above "
                f"{self.lowest:.3f}, the lowest mean of {WINDOW} steps before"
            )
        self.recent = [*self.recent[1 - WINDOW :], value]
        if len(self.recent) == WINDOW:
            mean = sum(self.recent) / WINDOW
            self.lowest = mean if self.lowest is None else min(self.lowest, mean)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory didn't suffice, on a GPU or on a CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def smaller_micro_batches(share: int, micro: int) -> list[int]:
    """Micro-batches that divide a worker's `share` of the batch, of at most half of `micro`, largest first."""
    return [m for m in range(micro // 2, 0, -1) if share % m == 0]
