"""Between logged steps an update waits for the device at most once."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import Precision, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training.distributed import process_group
from repro.training.passes import update
from repro.training.run import RunInProgress
from repro.training.train import engine_of
from repro.training.trainer import Trainer
from tests.repro.training.counting import Reads

Make = Callable[..., RunSpec]


@pytest.mark.parametrize(
    ("stage", "precision"), [(0, "fp32"), (1, "fp32"), (1, "bf16"), (2, "bf16"), (3, "fp32"), (3, "bf16")]
)
def test_an_update_of_two_micro_batches_reads_at_most_one_value_and_synchronises_nothing(
    stage: int,
    precision: Precision,
    text: Corpus,
    make_spec: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import deepspeed.accelerator

    spec = make_spec(dense_steps=1000, precision=precision)
    resources = Resources(device="cpu", micro_batch=2, zero_stage=stage)  # type: ignore[arg-type]
    run = RunInProgress(spec, RunFolder(Folder.open(tmp_path)), text, resources)
    synchronised = []
    with process_group(run.device), closing(engine_of(run)) as engine:
        trainer = Trainer(run, engine, time.perf_counter())
        trainer.resume()
        trainer.pruner.event(0)
        step = spec.schedule.end_step + 1
        while step % 10 < 2:  # not logged, nor looked at
            step += 1
        for warm in range(step - 2, step):
            update(spec, engine, trainer.batches.of(warm), warm, lambda: None)
        accelerator = deepspeed.accelerator.get_accelerator()
        monkeypatch.setattr(type(accelerator), "synchronize", lambda *_: synchronised.append(1))
        with Reads() as seen:
            trainer.step(step)
        monkeypatch.undo()  # closing the engine may wait
    # At stage 3 DeepSpeed reads whether the gradient's norm is finite.
    assert seen.waiting <= (1 if stage == 3 else 0), seen.operations
    assert not synchronised


def test_what_reads_a_value_is_counted() -> None:
    some = torch.arange(3.0)
    for read in (
        lambda: float(some.sum()),
        lambda: some.tolist(),
        lambda: some.nonzero(),
        lambda: bool(some[0] > 0),
        some.cpu,
        some.numpy,
    ):
        with Reads() as seen:
            read()
        assert seen.waiting, read
