"""A worker group that ran out of memory is started again with the micro-batch that its worker returned. No Ray runs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray.train.torch

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, RunFolder
from repro.training.assignment import Assignment
from repro.training.train import OutOfMemory
from sweeps import trial, worker_group
from tests.repro.training.lives import assigned

LOST = RuntimeError("Connection closed by peer")  # what a worker sees whose peer has failed
SHORT = OutOfMemory("out of memory", 2)
Train = Callable[[Exception | None, Resources], tuple[str, list[int | None]]]


@pytest.fixture
def train(make_spec: Callable[..., RunSpec], text: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """How a trial ends whose first group ends with an error, and the micro-batches of the groups that were started."""

    def run(error: Exception | None, resources: Resources) -> tuple[str, list[int | None]]:
        started: list[int | None] = []
        folder = Folder.open(tmp_path / "run")

        class Group:
            def __init__(self, _: object, train_loop_config: dict[str, Any], **__: object):
                started.append(Assignment.parse(train_loop_config).resources.micro_batch)

            def fit(self) -> None:
                if error is not None and len(started) == 1:
                    RunFolder(folder).progress("failed", reason="out of memory")
                    raise pickle.loads(pickle.dumps(error))  # as it comes from Ray's controller
                RunFolder(folder).progress("done")

        monkeypatch.setattr(ray.train.torch, "TorchTrainer", Group)
        monkeypatch.setattr(worker_group, "scaling", lambda given: None)  # which asks Ray for its nodes
        return trial.train_one(assigned(make_spec(batch=8), folder, text, resources)), started

    return run


@pytest.mark.parametrize("failures", [{1: SHORT}, {0: LOST, 1: SHORT}, {0: OutOfMemory("out of memory", 4), 1: SHORT}])
def test_out_of_memory_a_group_is_started_again_with_what_its_worker_returned(
    train: Train, failures: dict[int, Exception]
) -> None:
    error = ray.train.WorkerGroupError("a worker failed", failures)
    assert train(error, Resources(workers=2)) == ("done", [None, 2])


@pytest.mark.parametrize(
    ("failure", "out_of_memory"),
    [(SHORT, "fail"), (OutOfMemory("out of memory", None), "retry"), (RunFailed("the loss spiked"), "retry")],
)
def test_a_group_that_may_not_or_cannot_take_less_is_not_started_again(
    train: Train, failure: Exception, out_of_memory: Any
) -> None:
    error = ray.train.WorkerGroupError("a worker failed", {0: failure})
    assert train(error, Resources(workers=2, out_of_memory=out_of_memory)) == ("failed", [None])


def test_a_single_worker_has_tried_what_is_smaller_itself(train: Train) -> None:
    assert train(SHORT, Resources()) == ("failed", [None])
