"""The clocks of a run: its pace over all its starts, the heartbeat that reports it, and when ranks look at each other.

The heartbeat is a thread, so that no step waits for a store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import torch
import torch.distributed as dist

from repro import ladder
from repro.spec import RunSpec
from repro.store.lease import rhythm_of
from repro.store.run_folder import RunFolder
from repro.training import hardware

log = logging.getLogger(__name__)
LOOK = 3.0  # seconds between two exchanges
MOST = 10_000  # maximum micro-batches between two exchanges


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


class Agreement:
    """What the ranks of a run decide together: whether to stop, and whether a checkpoint is due.

    Any rank may be asked to stop, and only the first rank's clock counts; so the ranks tell each other, at the same
    micro-batch, and then all do the same. They do so about every LOOK seconds, however long a step takes: every few
    micro-batches of a slow step, every few hundred steps of a fast one. Only then do they wait for a GPU, which must not
    be left far behind either: what has been launched on it is computed before anybody stops. All calls are made by all
    ranks, at the same points of the training loop.

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
