"""`train`: one spec from its beginning, or from its last checkpoint, to its end; under Ray Train or without Ray."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.distributed as dist

from repro import strict
from repro.corpus import Corpus, obtain
from repro.errors import DISK_FULL, UserError
from repro.models import start
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store import stop
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, RunFolder, Stopped
from repro.training import evaluate, model, zero
from repro.training.trainer import Trainer
from repro.training.watch import is_out_of_memory, smaller_micro_batches


class OutOfMemory(RunFailed):
    """Memory didn't suffice. `micro_batch` is the next to try; None when there is no smaller one."""

    def __init__(self, message: str, micro_batch: int | None):
        super().__init__(message)
        self.micro_batch = micro_batch


def train_loop(config: dict[str, Any]) -> dict[str, Any] | None:
    """What Ray Train runs on every worker.

    Args:
        config: `spec` and `resources` as mappings, `folder` (URI of the run's folder), `corpus` (path or URI) and its
            `corpus_hash` as the driver found it, and `results` and `driver`, by which stop.is_asked tells whether the
            run is to stop; `forks`, if there are any: the steps of which other runs need a checkpoint.

    Returns:
        The row of run.parquet; None when it was stopped.
    """
    spec = strict.build(RunSpec, config["spec"])
    resources = strict.build(Resources, config["resources"])
    asked = partial(stop.is_asked, Folder.open(config["results"]), config["driver"])
    forks = tuple(config.get("forks", ()))
    folder = Folder.open(config["folder"])
    with suppress(Stopped):
        return train(spec, folder, _text(folder, config["corpus"], config.get("corpus_hash")), resources, forks, asked)
    return None


def _text(folder: Folder, place: str, corpus_hash: str | None) -> Corpus:
    """The corpus of the run in `folder`. Where it is damaged, or not the one that is meant, the run has failed."""
    try:
        text = obtain(place)
        if corpus_hash not in (None, text.hash):
            raise UserError(
                "the text has changed since the sweep was begun",
                file=place,
                key="corpus_hash",
                found=text.hash,
                expected=corpus_hash,
            )
    except UserError as error:
        with suppress(OSError):
            RunFolder(folder).progress("failed", reason=str(error))
        raise
    return text


def train(
    spec: RunSpec,
    folder: Folder,
    text: Corpus,
    resources: Resources,
    forks: tuple[int, ...] = (),
    asked: Callable[[], bool] = bool,
) -> dict[str, Any]:
    """Trains one spec to its end and writes its tables; goes on from a checkpoint if there is one.

    Out of memory, a run of one worker goes on with smaller micro-batches when `resources` allow it; a group of
    workers can't, since the others wait for the one that failed, and whoever launched it starts it again.

    Before each step of `forks` it leaves a whole checkpoint in `forks/`, from which `fork.fork` starts other runs. A
    run that goes on from a later step can't make it any more, and doesn't.

    Raises:
        UserError: the spec can't be trained here (the batch doesn't divide, the corpus is too short).
        RunFailed: the loss is not finite or spikes, memory or disk don't suffice, or what was measured is not
            what the schedule promised. The run's status says so, and its last good checkpoint stays.
        Stopped: `asked` said so, a few steps ago; a checkpoint of the last step is saved.
    """
    run = RunFolder(folder)
    total = spec.schedule.total_steps
    if strange := [step for step in forks if not 0 < step < total]:
        raise UserError(
            f"{spec.run_id} has no such step to fork at", key="forks", found=strange[0], expected=f"1 to {total - 1}"
        )
    text.check(spec.tokens, spec.repeat, spec.run_id)
    while True:
        try:
            return _attempt(spec, run, text, resources, forks, asked)
        except OutOfMemory as error:
            if error.micro_batch is None or resources.out_of_memory == "fail" or resources.workers > 1:
                raise
            resources = replace(resources, micro_batch=error.micro_batch)
        _give_back()


def _give_back() -> None:
    """Frees what a failed attempt held; its engine takes a second pass, as autograd's side of it hides from the first."""
    for _ in range(2):
        gc.collect()


def _attempt(
    spec: RunSpec,
    run: RunFolder,
    text: Corpus,
    resources: Resources,
    forks: tuple[int, ...],
    asked: Callable[[], bool],
) -> dict[str, Any]:
    _, micro = resources.share(spec)
    device = zero.device_of(resources)
    with zero.process_group(device), _failures(spec, run, resources, text, device):
        began = time.perf_counter()
        if dist.get_rank() == 0:
            run.begin(spec, text.hash)
        with _engine(spec, resources, device) as engine:
            return Trainer(spec, run, text, resources, engine, micro, began, forks, asked).fit()


@contextmanager
def _engine(spec: RunSpec, resources: Resources, device: torch.device) -> Iterator[Any]:
    network = model.build(spec.model, spec.seed)
    if spec.start is not None:
        start.load(network, spec.model, spec.start)
    if resources.compile:
        # Of each shape two are kept, with and without gradients; beyond dynamo's own 8 models would run uncompiled.
        torch._dynamo.config.recompile_limit = 128
        network.compile()
    share, micro = resources.share(spec)
    made = zero.engine(network, spec.optimizer, resources, spec.precision, micro, share // micro, device)
    try:
        yield made
    finally:
        zero.close(made)


@contextmanager
def _failures(
    spec: RunSpec, run: RunFolder, resources: Resources, text: Corpus, device: torch.device
) -> Iterator[None]:
    """Turns what ends a run for good into RunFailed, and marks the run `failed` with the reason, from any rank."""
    failure: Exception
    facts: dict[str, Any] = {}
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
        failure = RunFailed(f"the disk is full: {error}; the last checkpoint is whole, free space and run again")
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        # The caller's `with` still holds the traceback: what its frames hold is needed now.
        traceback.clear_frames(error.__traceback__)
        failure = _out_of_memory(spec, resources, text, device, str(error).splitlines()[0])
        facts["try_micro_batch"] = failure.micro_batch
    with suppress(OSError):  # a full disk may not take this word either; the error itself still goes up
        run.progress("failed", reason=str(failure), **facts)
    raise failure


def _out_of_memory(spec: RunSpec, resources: Resources, text: Corpus, device: torch.device, what: str) -> OutOfMemory:
    share, micro = resources.share(spec)
    options = smaller_micro_batches(spec, resources)
    message = f"out of memory with micro-batches of {micro} sequences (batch {spec.optimizer.batch}, {share} a worker): {what}"
    if not options:
        return OutOfMemory(f"{message}; one sequence is the least: take more workers, ZeRO 3 or a larger device", None)
    if resources.out_of_memory == "retry" or resources.workers > 1:
        return OutOfMemory(f"{message}; try resources.micro_batch = {options[0]}", options[0])
    fits = next((m for m in options if _fits(spec, replace(resources, micro_batch=m), text, device)), None)
    _give_back()  # for the next run of this process
    return OutOfMemory(f"{message}; " + (f"{fits} would fit: resources.micro_batch" if fits else "none fits"), fits)


def _fits(spec: RunSpec, resources: Resources, text: Corpus, device: torch.device) -> bool:
    """Whether a whole step, with its update and the moments that this makes, has memory enough, found by making it."""
    share, micro = resources.share(spec)
    _give_back()
    try:
        with _engine(spec, resources, device) as engine:
            rows = text.batch(0, spec.optimizer.batch, spec.seed, count=share)
            for first in range(0, share, micro):
                losses, _ = evaluate.token_losses(engine, text, rows[first : first + micro])
                engine.backward(losses.mean())
                engine.step()
        return True
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
