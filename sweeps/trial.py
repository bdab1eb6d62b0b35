"""One run in its Ray Tune process: the lease, the parent's checkpoint, and Ray Train.

The driver imports this module too, and does without torch, which takes longer to import than all else it needs.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import traceback
from typing import Any

import ray.train
import ray.tune
from ray.train.v2._internal.execution.callback import WorkerCallback

from repro.console.signals import Heeded
from repro.errors import UserError
from repro.store import stop
from repro.store.folder import Folder
from repro.store.lease import Lease
from repro.store.run_folder import RunFailed, RunFolder
from repro.store.status import stamp
from repro.training import fork
from repro.training.assignment import Assignment
from sweeps.queue import Outcome

KEY = "assignment"
GRACE = 5.0  # seconds for a peer that failed first to report its error
STOPPING = "stopping after saving a checkpoint; a second signal stops at once"
_heeded = Heeded(STOPPING)  # by the main thread of a worker group's process


def assignment_of(configuration: dict[str, Any]) -> Assignment:
    """The run that a trial trains."""
    return Assignment.parse(configuration[KEY])


class Trial(ray.tune.Trainable):
    """Trains one run per trial. The process is reused for the next one, so that start-up and imports are paid once.

    With one worker Ray Train runs the loop in this process (its local mode); with more it starts a worker group. Either
    way the loop is `repro.training.worker.train_loop`.
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
    """Trains one run with Ray Train while holding its lease. A run that fails for good is marked in its status.

    Raises:
        Exception: from Ray Train, if a worker died.
    """
    run = RunFolder(Folder.reopen(given.folder))
    lease = Lease(run, given.driver, given.over)
    if not lease.take():
        return "held"
    try:
        if stop.is_asked(Folder.reopen(given.results), given.driver):
            return "stopped"
        if run.status()["state"] == "done":  # by a driver whose lease ended just before ours began
            return "held"
        try:
            _fork(given, run)
        except UserError as error:  # the parent's checkpoint is invalid, and a retry won't change that
            run.progress("failed", reason=str(error))
            return "failed"
        return _fit(given, run)
    finally:
        lease.give_back()


def _fork(given: Assignment, run: RunFolder) -> None:
    """Copies its parent's checkpoint into a run, unless the run has begun or the parent saved none."""
    if given.fork is None or fork.begun(run.folder):
        return
    parent = Folder.reopen(given.fork.folder)
    if fork.ready(parent, given.fork.step):
        fork.fork(parent, run.folder, given.spec, given.fork.step)


def _fit(given: Assignment, run: RunFolder) -> Outcome:
    from ray.train.torch import TorchTrainer  # torch

    from sweeps.worker_group import TextFirst, WholeNodes, scaling

    while True:
        before = stamp(run.status())
        try:
            with tempfile.TemporaryDirectory(prefix="run-", ignore_cleanup_errors=True) as scratch:
                TorchTrainer(
                    _loop,
                    train_loop_config=given.to_dict(),
                    torch_config=TextFirst(assignment=given.to_dict()),
                    scaling_config=scaling(given),
                    run_config=ray.train.RunConfig(
                        name="train",
                        storage_path=scratch,
                        callbacks=[_HeedSignals(), WholeNodes()],  # type: ignore[list-item]  # mypy reads the class of Train v1
                    ),
                ).fit()
            return "done" if run.status()["state"] == "done" else "stopped"
        except Exception as error:
            # Its status tells whether the run failed for good or its worker died: not every worker knows.
            status = run.status()
            if status["state"] != "failed" or stamp(status) == before:
                raise
            smaller = _smaller_micro_batch(error)
        if smaller is None or given.resources.out_of_memory == "fail":
            return "failed"
        given = given.with_micro_batch(smaller)


def _smaller_micro_batch(error: Exception) -> int | None:
    """The micro-batch to retry with after a worker group ran out of memory; None for other errors.

    A single worker tries all smaller ones itself before it raises.
    """
    from repro.training.train import OutOfMemory  # torch

    failures = error.worker_failures.values() if isinstance(error, ray.train.WorkerGroupError) else ()
    return min((f.micro_batch for f in failures if isinstance(f, OutOfMemory) and f.micro_batch), default=None)


class _HeedSignals(WorkerCallback):
    """Makes a worker group's processes heed signals in their main threads: they train in another, which can't."""

    def after_init_train_context(self) -> None:
        _heeded.__enter__()


def _loop(mapping: dict[str, Any]) -> None:
    from repro.training.worker import train_loop

    try:
        with Heeded(STOPPING) as mine:  # of a single worker, which trains in its main thread
            train_loop(mapping, lambda: mine.came or _heeded.came)
    except (RunFailed, UserError):
        raise
    except Exception:
        rank = ray.train.get_context().get_world_rank()
        with contextlib.suppress(OSError):
            place = RunFolder(Folder.reopen(Assignment.parse(mapping).folder))
            place.keep_traceback(f"rank-{rank}", traceback.format_exc())
        # Perhaps a peer failed and closed its connections. Ray Train ends the group with the first error that it sees,
        # and the peer's error is more informative.
        if ray.train.get_context().get_world_size() > 1:
            time.sleep(GRACE)
        raise
