"""Pace: how long a run has trained, over all its starts, and how fast; and the heartbeat that reports it.

The heartbeat is a thread, so that no step waits for a store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from repro import ladder
from repro.spec import RunSpec
from repro.store.lease import rhythm_of
from repro.store.run_folder import RunFolder
from repro.training import hardware

log = logging.getLogger(__name__)


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


class Heartbeat:
    """Context manager: updates status.json and looks for a request to stop, every few seconds, in a thread of its own.

    What fails is logged and tried again at the next beat: a status never ends a run. Once the context is left, nothing is
    written any more.

    Args:
        place: the run's folder.
        facts: returns the current facts of a running run, for its status; None if there are none yet.
        asked: returns whether the run has been asked to stop; may take as long as a store takes to answer.

    Attributes:
        stop: whether it has been.
    """

    def __init__(self, place: RunFolder, facts: Callable[[], dict[str, Any] | None], asked: Callable[[], bool]):
        self.place, self.facts, self.asked = place, facts, asked
        self.stop = False
        self._told: dict[str, Any] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        pause = rhythm_of(self.place.folder).beat
        while not self._over.wait(pause):
            try:
                self._beat()
            except Exception as error:
                log.warning("%s: no heartbeat: %s", self.place.folder, error)

    def _beat(self) -> None:
        self.stop = self.stop or self.asked()
        facts = self.facts()
        # A rank that failed may have written `failed` meanwhile, and that is the run's last word.
        if facts is not None and facts != self._told and self.place.status()["state"] == "running":
            self.place.progress("running", **facts)
            self._told = facts
