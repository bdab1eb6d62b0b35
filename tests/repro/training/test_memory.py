"""Out of memory: smaller micro-batches where that is allowed, else the reason and what would fit."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro.corpus import Corpus
from repro.resources import Resources, Stage
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, RunFolder
from repro.training import train
from tests import workers
from tests.repro.training.failing import (
    BATCH,
    SPARE,
    Make,
    before_step,
    failed,
    greedy,
    limit_memory,
    only_in_full,
    settle,
    virtual,
)
from tests.repro.training.lives import life, rows

pytestmark = pytest.mark.slow


def outcome(spec: RunSpec, folder: Folder, text: Corpus, resources: Resources) -> dict[str, Any]:
    """How a run ends: its status, the steps that were trained, and its loss and micro-batch if it has them."""
    with life() as found:
        try:
            row = train.train(spec, folder, text, resources)
        except RunFailed as failure:
            row = {"raised": str(failure), "try_micro_batch": getattr(failure, "micro_batch", None)}
    kept = {key: row[key] for key in ("loss", "micro_batch", "raised", "try_micro_batch") if key in row}
    return RunFolder(folder).status() | kept | {"steps": found.steps}


def retried(spec: RunSpec, corpus: Path, root: Path, stage: Stage) -> dict[str, Any]:
    text, resources = Corpus(corpus), Resources(zero_stage=stage)
    settle(spec, text, root, resources)
    limit_memory(virtual("VmPeak") + SPARE)
    return outcome(spec, Folder.open(root / "run"), text, resources)


def advised(spec: RunSpec, corpus: Path, root: Path, stage: Stage) -> list[dict[str, Any]]:
    """A run that may not try smaller micro-batches, and one that takes the advice with which it ended."""
    text, resources = Corpus(corpus), Resources(zero_stage=stage, out_of_memory="fail")
    settle(spec, text, root, resources)
    limit_memory(virtual("VmPeak") + SPARE)
    first = outcome(spec, Folder.open(root / "run"), text, resources)
    taken = replace(resources, micro_batch=first.get("try_micro_batch"))
    return [first, outcome(spec, Folder.open(root / "run"), text, taken)]


def short_in_the_middle(spec: RunSpec, corpus: Path, root: Path) -> dict[str, Any]:
    """Memory is short from the second step on, where a checkpoint has just been saved."""
    text, resources = Corpus(corpus), Resources(checkpoint_every=1)
    settle(spec, text, root, resources)
    limit = virtual("VmPeak") + SPARE
    with before_step(1, lambda _: limit_memory(limit)):
        return outcome(spec, Folder.open(root / "run"), text, resources)


def hopeless(spec: RunSpec, corpus: Path, root: Path) -> dict[str, Any]:
    """There is not even memory for the model: 34 M weights, of which each needs 20 bytes."""
    text = Corpus(corpus)
    settle(spec, text, root, Resources())
    limit_memory(virtual("VmPeak") + SPARE)
    wide = replace(spec, model=replace(spec.model, d_model=1024, mlp=4096), optimizer=replace(spec.optimizer, batch=4))
    return outcome(wide, Folder.open(root / "run"), text, Resources(out_of_memory="fail"))


@pytest.fixture(autouse=True)
def _memory_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the workers: it is addresses that are limited, of which malloc keeps what is freed and reserves 64 MiB a thread."""
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(1 << 20))
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")


@pytest.fixture(scope="module")
def unlimited(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], dict[str, Any]]:
    """The same run where there is memory enough."""
    known: dict[RunSpec, dict[str, Any]] = {}

    def of(spec: RunSpec) -> dict[str, Any]:
        if spec not in known:
            known[spec] = train.train(spec, Folder.open(tmp_path_factory.mktemp("unlimited")), text, Resources())
        return known[spec]

    return of


Unlimited = Callable[[RunSpec], dict[str, Any]]


@pytest.mark.parametrize("stage", [only_in_full(0), 1, only_in_full(3)])
def test_out_of_memory_a_run_goes_on_with_smaller_micro_batches_to_the_same_loss(
    stage: Stage, text: Corpus, make_spec: Make, tmp_path: Path, unlimited: Unlimited
) -> None:
    spec = greedy(make_spec)
    [found] = workers.run(1, retried, spec, text.folder, tmp_path, stage)
    assert found["state"] == "done", found
    [row] = rows(Folder.open(tmp_path / "run"), "run.parquet")
    assert unlimited(spec)["micro_batch"] == BATCH
    assert row["micro_batch"] == found["micro_batch"]
    # Smaller than what was refused, and no more than one halving too small: what a failed attempt held was given back.
    assert BATCH // 8 <= row["micro_batch"] < BATCH
    assert row["loss"] == pytest.approx(unlimited(spec)["loss"], abs=1e-3)


@pytest.mark.parametrize("stage", [only_in_full(0), only_in_full(1)])
def test_out_of_memory_a_run_that_may_not_retry_fails_and_names_a_micro_batch_that_fits(
    stage: Stage, text: Corpus, make_spec: Make, tmp_path: Path, unlimited: Unlimited
) -> None:
    spec = greedy(make_spec)
    [[first, second]] = workers.run(1, advised, spec, text.folder, tmp_path, stage)
    assert first["state"] == "failed"
    assert first["reason"] == first["raised"]
    assert first["steps"] == [0]
    advice = first["try_micro_batch"]
    assert advice is not None, first["reason"]
    assert BATCH // 8 <= advice < BATCH
    for part in (f"batch {BATCH}", f"micro-batches of {BATCH} sequences", f"{advice} would fit"):
        assert part in first["reason"]
    assert second["state"] == "done", (second["steps"], second["raised"], first["raised"])
    assert second["micro_batch"] == advice
    assert second["loss"] == pytest.approx(unlimited(spec)["loss"], abs=1e-3)


@pytest.mark.full
def test_out_of_memory_in_the_middle_a_run_goes_on_from_its_checkpoint(
    text: Corpus, make_spec: Make, tmp_path: Path, unlimited: Unlimited
) -> None:
    spec = greedy(make_spec)
    [found] = workers.run(1, short_in_the_middle, spec, text.folder, tmp_path)
    assert found["state"] == "done", found
    assert found["steps"][:2] == [0, 1]
    assert set(found["steps"][2:]) == {1}, "it began anew, or memory was not refused"
    assert found["micro_batch"] < BATCH
    assert found["loss"] == pytest.approx(unlimited(spec)["loss"], abs=1e-3)


@pytest.mark.full
def test_out_of_memory_for_the_model_itself_is_said_to_be_past_mending(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    [found] = workers.run(1, hopeless, greedy(make_spec), text.folder, tmp_path)
    assert found["state"] == "failed"
    assert "out of memory" in found["reason"]
    assert "none fits" in found["reason"]
    assert found["try_micro_batch"] is None
    assert found["steps"] == []


@pytest.mark.parametrize("stage", [only_in_full(0), 1, only_in_full(2), only_in_full(3)])
def test_a_run_gives_back_its_engine_whether_it_ends_well_or_not(
    stage: Stage, text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    def engines() -> int:
        for _ in range(3):
            gc.collect()
        return sum(type(thing).__name__ == "DeepSpeedEngine" for thing in gc.get_objects())

    before = engines()
    train.train(make_spec(0.0, dense_steps=3), Folder.open(tmp_path / "well"), text, Resources(zero_stage=stage))
    failed(make_spec(lr=1e30), Folder.open(tmp_path / "badly"), text, Resources(zero_stage=stage))
    assert engines() == before
