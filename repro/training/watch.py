"""What makes a run fail: losses that are not finite or spike, and counts at its end that its schedule didn't plan."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist

from repro.pruning.pruner import Pruner
from repro.spec import RunSpec
from repro.store.run_folder import RunFailed
from repro.training.record import Log

WINDOW = 10  # steps in the mean that a loss is compared with, and steps between checks


class Watch:
    """Training losses and gradient norms since the last check. They stay on the device between checks, so that a GPU
    needn't wait.

    Args:
        bound: nats by which a loss may exceed the lowest mean of WINDOW earlier steps; None: no limit.
        recent: the last losses, at most WINDOW.
        lowest: the lowest mean so far; None if there is none yet.
    """

    def __init__(self, bound: float | None, recent: list[float], lowest: float | None):
        self.bound, self.recent, self.lowest = bound, list(recent), lowest
        self._waiting: list[tuple[int, torch.Tensor, torch.Tensor]] = []

    @property
    def waiting(self) -> int:
        """Number of steps since the last check."""
        return len(self._waiting)

    def add(self, step: int, loss: torch.Tensor, norm: torch.Tensor) -> None:
        """Adds this rank's part of a step's mean loss, and the norm of the whole gradient, scalars."""
        self._waiting.append((step, loss, norm))

    def look(self) -> list[tuple[float, float]]:
        """Checks and returns the losses, summed over ranks, and norms since the last check. Collective.

        Raises:
            RunFailed: a loss or a gradient is not finite, or a loss is a spike; raised on every rank.
        """
        if not self._waiting:
            return []
        steps, mine, norms = zip(*self._waiting, strict=True)
        losses = torch.stack(mine)
        self._waiting = []
        if dist.get_world_size() > 1:
            dist.all_reduce(losses)
        values = torch.cat([losses, torch.stack(norms)]).tolist()
        seen = list(zip(values[: len(steps)], values[len(steps) :], strict=True))
        for step, (loss, norm) in zip(steps, seen, strict=True):
            self._check(step, loss, norm)
        return seen

    def _check(self, step: int, value: float, norm: float) -> None:
        if not math.isfinite(value):
            raise RunFailed(f"the loss is {value}, not finite, at step {step}")
        if not math.isfinite(norm):
            raise RunFailed(f"the gradient's norm is {norm}, not finite, at step {step}")
        if self.bound is not None and self.lowest is not None and value > self.lowest + self.bound:
            raise RunFailed(
                f"the loss spiked to {value:.3f} at step {step}: over resources.spike = {self.bound:g} nats above "
                f"{self.lowest:.3f}, the lowest mean of {WINDOW} steps before"
            )
        self.recent = [*self.recent[1 - WINDOW :], value]
        if len(self.recent) == WINDOW:
            mean = sum(self.recent) / WINDOW
            self.lowest = mean if self.lowest is None else min(self.lowest, mean)


def verify(spec: RunSpec, pruner: Pruner, log: Log) -> None:
    """Compares a finished run with its schedule, exactly: non-zero weights, N_avg and tokens. Collective.

    Raises:
        RunFailed: they differ, or a removed weight has moved.
    """
    schedule, total = spec.schedule, pruner.total
    strays = torch.tensor([pruner.strays()], device=pruner.engine.device)
    dist.all_reduce(strays)
    for what, measured, promised in (
        ("weights left", pruner.nonzero, schedule.n_final(total)),
        ("sum over steps of N_t", log.weight_steps, schedule.weight_steps(total)),
        ("tokens seen", log.tokens, spec.tokens),
        ("removed weights that moved", int(strays), 0),
    ):
        if measured != promised:
            raise RunFailed(f"{what}: measured {measured:,}, the schedule promised {promised:,}")
