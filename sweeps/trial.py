"""One run in the process that Ray Tune gives it: the lease, the parent's checkpoint, and Ray Train."""

from __future__ import annotations

import tempfile
import time
from typing import Any

import ray.train
import ray.tune
from ray.train.torch import TorchTrainer

from repro.errors import UserError
from repro.store import stop
from repro.store.folder import Folder
from repro.store.lease import Lease
from repro.store.run_folder import RunFailed, RunFolder, stamp
from repro.training.assignment import Assignment
from sweeps.queue import Outcome

KEY = "assignment"
GRACE = 5.0  # seconds in which a peer that failed first may say so


def configuration(given: Assignment) -> dict[str, Any]:
    """What Tune is told of a trial."""
    return {KEY: given.to_dict()}


def assignment_of(configuration: dict[str, Any]) -> Assignment:
    """The run that a trial trains."""
    return Assignment.parse(configuration[KEY])


class Trial(ray.tune.Trainable):
    """One trial trains one run. The process is used again for the next one: start-up and imports are paid once.

    With one worker Ray Train runs the loop in this very process (its local mode); with more it makes a
    worker group. Either way the loop is `repro.training.train.train_loop`.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.assignment = assignment_of(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        return {"done": True, "outcome": train_one(self.assignment)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        return None

    def load_checkpoint(self, checkpoint: Any) -> None:
        return None


def train_one(given: Assignment) -> Outcome:
    """Trains one run through Ray Train while it holds its lease. A run that can't end well is in its status.

    Raises:
        Exception: of Ray Train, when a worker died.
    """
    run = RunFolder(Folder.open(given.folder))
    lease = Lease(run, given.driver, given.over)
    if not lease.take():
        return "held"
    try:
        if stop.is_asked(Folder.open(given.results), given.driver):
            return "stopped"
        if run.status()["state"] == "done":  # by one whose lease ended just before ours began
            return "held"
        try:
            _fork(given, run)
        except UserError as error:  # what its parent left can't be believed, and trying again won't change it
            run.progress("failed", reason=str(error))
            return "failed"
        return _fit(given, run)
    finally:
        lease.give_back()


def _fork(given: Assignment, run: RunFolder) -> None:
    """Copies its parent's checkpoint into a run; one that has begun, or whose parent left none, is trained without it."""
    from repro.training import fork  # torch

    if given.fork is None or fork.begun(run.folder):
        return
    parent = Folder.open(given.fork.folder)
    if fork.ready(parent, given.fork.step):
        fork.fork(parent, run.folder, given.spec, given.fork.step)


def _fit(given: Assignment, run: RunFolder) -> Outcome:
    workers = given.resources.workers
    while True:
        before = stamp(run.status())
        try:
            with tempfile.TemporaryDirectory(prefix="run-", ignore_cleanup_errors=True) as scratch:
                TorchTrainer(
                    _loop,
                    train_loop_config=given.to_dict(),
                    scaling_config=ray.train.ScalingConfig(
                        num_workers=0 if workers == 1 else workers, use_gpu=given.gpu
                    ),
                    run_config=ray.train.RunConfig(name="train", storage_path=scratch),
                ).fit()
            return "done" if run.status()["state"] == "done" else "stopped"
        except Exception as error:
            # Whether the run failed for good or its worker died is in its status: not every worker knows.
            status = run.status()
            if status["state"] != "failed" or stamp(status) == before:
                raise
            smaller = _smaller_micro_batch(error)
        if smaller is None or given.resources.out_of_memory == "fail":
            return "failed"
        given = given.with_micro_batch(smaller)


def _smaller_micro_batch(error: Exception) -> int | None:
    """The micro-batch with which a worker group that ran out of memory may fit; None for what else ended it.

    A single worker raises what it ran into itself, after it has tried all smaller ones.
    """
    from repro.training.train import OutOfMemory  # torch

    failures = error.worker_failures.values() if isinstance(error, ray.train.WorkerGroupError) else ()
    return min((f.micro_batch for f in failures if isinstance(f, OutOfMemory) and f.micro_batch), default=None)


def _loop(mapping: dict[str, Any]) -> None:
    from repro.training.train import train_loop

    try:
        train_loop(mapping)
    except (RunFailed, UserError):
        raise
    except Exception:
        # It may be that a peer failed and closed its connections. Ray Train ends the group with the first error that it
        # sees, and the peer's tells more.
        if ray.train.get_context().get_world_size() > 1:
            time.sleep(GRACE)
        raise
