"""Queue: the next run to start, the outcome of those that ended, and runs held by other drivers. No Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from repro.console.terminal import one_line
from repro.store.lease import Looker, newest
from repro.store.run_folder import RunFolder, Stamps
from repro.training.assignment import Assignment
from repro.training.checkpoint_manifest import newest as saved

POLL = 2.0  # seconds between checks of a run that another driver trains, or that waits for its parent
PAUSE, LONGEST_PAUSE = 2.0, 120.0  # seconds before a run whose worker died is retried: doubled each time

Outcome = Literal["done", "failed", "held", "stopped", "died"]


@dataclass
class Job:
    """A run to train.

    Attributes:
        assignment: the instructions for the process that trains it.
        waits: whether it still waits for the checkpoint that it continues from.
        died: how often its worker has died since it last made progress.
        saved: its newest checkpoint when its worker last died.
        not_before: earliest start, in seconds of time.monotonic.
    """

    assignment: Assignment
    run: RunFolder
    waits: Callable[[], bool] = bool
    died: int = 0
    saved: str = ""
    not_before: float = 0.0

    @property
    def run_id(self) -> str:
        return self.assignment.spec.run_id

    @property
    def devices(self) -> Fraction:
        """The devices that it occupies; less than one if it shares a GPU."""
        return self.assignment.resources.devices(self.assignment.gpu)


@dataclass
class Queue:
    """The runs of one driver, in start order: whenever devices are free, the first run that fits starts.

    Args:
        devices: the current number of devices, since a cluster may grow and shrink.
        lanes: maximum number of concurrent runs; None for as many as the devices hold.
        stop: whether no more runs may start.
        before: the runs' statuses when the driver began; a run that another driver has ended since counts as ended.

    Attributes:
        trained: ids of the runs that this driver has trained. most: maximum number of runs trained at once.
    """

    jobs: Iterable[Job]
    devices: Callable[[], int]
    lanes: int | None
    stop: Callable[[], bool]
    before: Stamps
    say: Callable[[str], object] = print
    trained: set[str] = field(default_factory=set, init=False)
    most: int = field(default=0, init=False)
    waiting: list[Job] = field(init=False)
    running: dict[str, Job] = field(default_factory=dict, init=False)
    _looker: Looker = field(default_factory=Looker, init=False)

    def __post_init__(self) -> None:
        self.waiting = list(self.jobs)

    @property
    def is_over(self) -> bool:
        """Whether no more runs will start."""
        return self.stop() or not (self.waiting or self.running)

    def next(self) -> Job | None:
        """The run to start now; None if no run can start at the moment."""
        if self.stop() or (self.lanes is not None and len(self.running) >= self.lanes):
            return None
        free = self.devices() - sum(job.devices for job in self.running.values())
        for job in list(self.waiting):
            fits = self.lanes is not None or job.devices <= free
            if fits and time.monotonic() >= job.not_before and self._is_free(job):
                self.waiting.remove(job)
                self.running[job.run_id] = job
                self.most = max(self.most, len(self.running))
                return job
        return None

    def ended(self, run_id: str, outcome: Outcome, reason: str = "") -> None:
        """Records the outcome of a run that was started. reason: why its worker died; its last line is reported."""
        job = self.running.pop(run_id)
        if outcome == "done":
            self.trained.add(run_id)
        elif outcome == "held":
            self._later(job, POLL)
        elif outcome == "stopped" and not self.stop():  # by a signal to its worker, whose machine may be going
            self.say(f"{run_id}: its worker was told to stop; again in {PAUSE:.0f} s")
            self._later(job, PAUSE)
        elif outcome == "died":
            job.run.keep_traceback("driver", reason)
            reason = reason.splitlines()[-1] if reason else ""
            newest_saved = saved(job.run.folder)
            if newest_saved > job.saved:  # what it has done since isn't lost again
                job.died, job.saved = 0, newest_saved
            job.died += 1
            if job.died > job.assignment.resources.retries:
                why = f"its worker died {job.died} times without progress: {reason}"
                job.run.progress("failed", reason=f"{why}; tracebacks in {job.run.folder}/errors")
                return
            pause = min(PAUSE * 2 ** (job.died - 1), LONGEST_PAUSE)
            self.say(f"{run_id}: its worker died ({one_line(reason)}); again in {pause:.0f} s, try {job.died + 1}")
            self._later(job, pause)

    def _later(self, job: Job, seconds: float) -> None:
        job.not_before = time.monotonic() + seconds
        # Requeued at the front: jobs are sorted longest first, and this one came before those that wait.
        self.waiting.insert(0, job)

    def _is_free(self, job: Job) -> bool:
        """Whether nobody else trains it and its parent's checkpoint exists. A run that another driver ended is dropped."""
        status = job.run.status()
        failed_now = status["state"] == "failed" and self.before.is_new(job.run_id, status)
        if status["state"] == "done" or failed_now:
            self.waiting.remove(job)
            return False
        held = newest(job.run)
        if self._looker.is_taken(job.run, held) or job.waits():
            job.not_before = time.monotonic() + POLL
            return False
        job.assignment = replace(job.assignment, over=held.name if held else None)
        return True
