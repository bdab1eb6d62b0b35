"""Pace: how long a run has trained, over all its starts, and how fast."""

from __future__ import annotations

import time
from typing import Any

from repro import ladder
from repro.spec import RunSpec
from repro.training import hardware


class Pace:
    """The clocks of one start of a run, on one rank.

    Args:
        spec: the run. world: number of ranks. device: name of this rank's GPU, or cpu.
        first: steps that earlier starts did. seconds: that those took.
    """

    def __init__(self, spec: RunSpec, world: int, device: str, first: int, seconds: float):
        self.spec, self.world, self.device = spec, world, device
        self.first, self.earlier = first, seconds
        self._reached = first, seconds  # steps done, and the seconds that they took: one tuple, for another thread
        self.start()

    def start(self) -> None:
        """Training begins now; what came before is setup."""
        self.entered = self._looked = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds of training, those of earlier starts included."""
        return self.earlier + time.perf_counter() - self.entered

    def reached(self, steps: int, seconds: float) -> None:
        """So many steps are done, after so many `seconds`."""
        self._reached = steps, seconds

    def leave_out(self) -> None:
        """What was done since the last step, such as a checkpoint, doesn't count as time of the next."""
        self._looked = time.perf_counter()

    def milliseconds(self, steps: int) -> float:
        """Of one of the last steps, since the last call of this or of `leave_out`."""
        return 1e3 * (time.perf_counter() - self._looked) / steps

    def facts(self) -> dict[str, Any] | None:
        """Progress and speed for the run's status; None before the first step of this start is done. From any thread."""
        step, seconds = self._reached
        if step == self.first:
            return None
        speed = (step - self.first) * self.spec.tokens_per_step / (seconds - self.earlier)
        return {
            "step": step,
            "total_steps": self.spec.schedule.total_steps,
            "workers": self.world,
            "tokens_per_second": speed,
            "mfu": self._mfu(speed),
        }

    def _mfu(self, tokens_per_second: float) -> float | None:
        model = self.spec.model
        flops = ladder.executed_flops(model.shape, 1, model.sequence) * tokens_per_second
        return hardware.mfu(flops, 1.0, self.world, self.device, self.spec.precision)
