"""`train`: trains one spec from its first step or last checkpoint to its last step, on one rank of any group."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import torch.distributed as dist

from repro.corpus import Corpus
from repro.errors import DISK_FULL, UserError
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, RunFolder
from repro.training import device_memory, model, start
from repro.training.batch import Batches
from repro.training.compiling import compile_if
from repro.training.device_memory import is_out_of_memory, smaller_micro_batches
from repro.training.distributed import deterministic, process_group
from repro.training.run import RunInProgress
from repro.training.trainer import Trainer
from repro.training.zero import DeepSpeedEngine

WAIT = 1.0  # seconds between two looks for the weights that another rank prunes


class OutOfMemory(RunFailed):
    """Out of memory. `micro_batch` is the next one to try; None if there is no smaller one."""

    def __init__(self, message: str, micro_batch: int | None):
        super().__init__(message)
        self.micro_batch = micro_batch

    def __reduce__(self) -> tuple[type[OutOfMemory], tuple[str, int | None]]:
        return (OutOfMemory, (str(self), self.micro_batch))  # Ray Train pickles it from the worker to the driver


def train(
    spec: RunSpec,
    folder: Folder,
    text: Corpus,
    resources: Resources,
    forks: tuple[int, ...] = (),
    asked: Callable[[], bool] = bool,
    *,
    signalled: Callable[[], bool] = bool,
    parent: Folder | None = None,
    children: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Trains one spec to its last step and writes its tables; resumes from the last checkpoint if there is one.

    When out of memory, a run with one worker continues with smaller micro-batches if `resources` allow it; a group of
    workers can't, because the others wait for the one that failed, so its driver restarts it.

    Before each step of `forks`, a checkpoint is saved in `forks/`, from which `fork.fork` starts other runs, and after
    the steps of `children` one for runs that start from these weights. A run that resumes from a later step can't save
    them any more.

    Args:
        asked: called on the first rank, in a thread of its own; this and the others as in `RunInProgress`.
        signalled: called on any rank, after every few micro-batches.

    Returns:
        The row of run.parquet.

    Raises:
        UserError: the spec can't be trained here (the batch doesn't divide, the corpus is too short).
        RunFailed: the loss is not finite or spikes, memory or disk is too small, or the measured counts differ from
            the schedule's. The run's status has the reason, and its last good checkpoint is kept.
        Stopped: `asked` or `signalled` returned true, on any rank; a checkpoint of the last whole step is saved.
    """
    run = RunInProgress(spec, RunFolder(folder), text, resources, forks, children, parent, asked, signalled)
    total = spec.schedule.total_steps
    if strange := [step for step in (*forks, *children) if not 0 < step < total]:
        what = f"{spec.run_id} has no such step to fork at"
        raise UserError(what, key="forks", found=strange[0], expected=f"1 to {total - 1}")
    text.check(spec.text_tokens, spec.repeat, spec.run_id)
    while True:
        try:
            return _attempt(run)
        except OutOfMemory as error:
            if error.micro_batch is None or resources.out_of_memory == "fail" or resources.workers > 1:
                raise
            run = run.with_micro_batch(error.micro_batch)
        _give_back()


def _give_back() -> None:
    """Frees a failed attempt's memory; its engine needs a second pass, because autograd still references it in the first."""
    for _ in range(2):
        gc.collect()


def _attempt(run: RunInProgress) -> dict[str, Any]:
    with deterministic(run.resources.deterministic), process_group(run.device), _failures(run):
        return _fit(run)


def _fit(run: RunInProgress) -> dict[str, Any]:
    began = time.perf_counter()
    device_memory.claim(run.device, run.resources)
    if dist.get_rank() == 0:
        run.place.begin(run.spec, run.text.hash)
        if start.is_needed(run.spec, run.place.folder):
            start.begin(run)
    elif run.spec.surgery is not None:  # which may take longer than a rank waits for others in a collective
        while start.is_needed(run.spec, run.place.folder):
            time.sleep(WAIT)
    if run.spec.start is not None:
        dist.barrier()  # so that every rank finds the checkpoint written by the first
    with closing(engine_of(run)) as engine:
        return Trainer(run, engine, began).fit()


def engine_of(run: RunInProgress) -> DeepSpeedEngine:
    """A new engine for a run, with initialised weights. Needs a process group."""
    spec, resources = run.spec, run.resources
    network = model.build(spec.model, spec.seed)
    compile_if(resources.compile, network, run.device)
    return DeepSpeedEngine(
        network,
        spec.optimizer,
        stage=resources.zero_stage,
        precision=spec.precision,
        micro_batch=run.micro,
        accumulation=run.accumulation,
        device=run.device,
    )


@contextmanager
def _failures(run: RunInProgress) -> Iterator[None]:
    """Converts permanent failures to RunFailed, and marks the run `failed` with the reason, from any rank."""
    failure: Exception
    try:
        yield
        return
    except (RunFailed, UserError) as error:
        failure = error
    except FloatingPointError as error:
        failure = RunFailed(str(error))
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        failure = RunFailed(f"the disk is full: {error}; the last checkpoint is complete, free space and run again")
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # The caller's `with` still holds the traceback, whose frames hold memory that is needed now.
        traceback.clear_frames(error.__traceback__)
        failure = _out_of_memory(run, str(error).splitlines()[0])
    with suppress(OSError):  # writing the status to a full disk may fail, too; the failure is raised anyway
        run.place.progress("failed", reason=str(failure))
    raise failure


def _out_of_memory(run: RunInProgress, what: str) -> OutOfMemory:
    resources, options = run.resources, smaller_micro_batches(run.share, run.micro)
    message = (
        f"out of memory with micro-batches of {run.micro} sequences "
        f"(batch {run.spec.optimizer.batch}, {run.share} a worker): {what}"
    )
    if not options:
        return OutOfMemory(f"{message}; one sequence is the minimum: use more workers, ZeRO 3 or a larger device", None)
    if resources.out_of_memory == "retry" or resources.workers > 1:
        return OutOfMemory(f"{message}; try resources.micro_batch = {options[0]}", options[0])
    fits = next((micro for micro in options if _fits(run.with_micro_batch(micro))), None)
    _give_back()  # for the next run of this process
    return OutOfMemory(f"{message}; " + (f"{fits} would fit: resources.micro_batch" if fits else "none fits"), fits)


def _fits(run: RunInProgress) -> bool:
    """Whether a whole step, including the update and its moments, fits in memory; tested by making one."""
    _give_back()
    try:
        with closing(engine_of(run)) as engine:
            for batch in Batches(run, rank=0, ahead=0).of(0):
                loss, _ = engine.losses(batch.on(run.device))
                engine.backward(loss)
                engine.step()
        return True
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
