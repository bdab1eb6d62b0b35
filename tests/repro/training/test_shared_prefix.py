"""Runs that start from a common beginning are those trained alone, to the bit: weights, moments, masks and every row."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro import strict
from repro.corpus import Corpus
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import EvalSpec, OptimizerSpec, PruningSpec, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import record
from repro.training.checkpoint_manifest import name_of
from repro.training.fork import begun, discard, fork, ready
from repro.training.train import train
from repro.training.worker import train_loop
from sweeps import prefix_plan
from tests import workers
from tests.repro.training.lives import assert_same, assigned, life, rows, stopped

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]
FORKED = ("forked_from", "forked_step")
COMPUTE = OptimizerSpec(5e-3, 4, lr_schedule="cosine_compute", warmup=0.1)
OFTEN = Resources(checkpoint_every=4, keep_checkpoints=9)
STABLE = OptimizerSpec(5e-3, 4, lr_schedule="wsd", warmup=4, decay=0.2)


@pytest.fixture
def sweep(make_spec: Make) -> Callable[..., list[RunSpec]]:
    """A dense run and 25/50/25 at sparsities, evaluated now and then."""

    def make(optimizer: OptimizerSpec, sparsities: tuple[float, ...], dense_steps: int = 32) -> list[RunSpec]:
        plain = [make_spec(s, dense_steps=dense_steps, run_id=f"{dense_steps}-s{s:g}") for s in sparsities]
        evaluation = EvalSpec(blocks=4, block_sequences=2, every=6)
        return [replace(spec, optimizer=optimizer, evaluation=evaluation) for spec in plain]

    return make


@pytest.fixture(autouse=True)
def sparse_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few points a curve that runs of a few dozen steps log every second to seventh, each its own."""
    monkeypatch.setattr(record, "CURVE_POINTS", 15)


def train_shared(
    runs: list[RunSpec], root: Path, text: Corpus, resources: Resources = Resources()
) -> prefix_plan.Forest:
    """Trains runs as a driver does, parents first; each trains the steps alone that it doesn't take over."""
    forest = prefix_plan.grow(runs)
    waiting = {run.run_id: run for run in runs}
    while waiting:
        started = next(i for i in waiting if i not in forest.forks or forest.forks[i].parent not in waiting)
        spec, start = waiting.pop(started), forest.forks.get(started)
        if start is not None:
            assert ready(Folder.open(root / start.parent), start.step)
            fork(Folder.open(root / start.parent), Folder.open(root / started), spec, start.step, text.hash)
        with life() as found:
            train(spec, Folder.open(root / started), text, resources, forest.steps(started))
        assert found.steps == list(range(start.step if start else 0, spec.schedule.total_steps))
    return forest


def assert_as_alone(runs: list[RunSpec], root: Path, text: Corpus) -> None:
    """Each run in `root` against itself trained alone."""
    for spec in runs:
        alone = Folder.open(root / "alone" / spec.run_id)
        train(spec, alone, text, Resources())
        assert_same(Folder.open(root / spec.run_id), alone, f"shared, {spec.run_id}", but_for=FORKED)


def test_sparse_runs_that_share_a_dense_trunk_by_a_cosine_over_compute_are_those_trained_alone(
    sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    runs = sweep(COMPUTE, (0.8, 0.6, 0.0))
    forest = train_shared(runs, tmp_path, text)
    assert forest.forks == {f"32-s{s}": prefix_plan.Fork("32-s0", 8) for s in (0.6, 0.8)}
    assert_as_alone(runs, tmp_path, text)
    for spec in runs:
        [row] = rows(Folder.open(tmp_path / spec.run_id), "run.parquet")
        expected = (None, None) if spec.run_id == "32-s0" else ("32-s0", 8)
        assert (row["forked_from"], row["forked_step"]) == expected
    curves = {spec.run_id: rows(Folder.open(tmp_path / spec.run_id), "curve.parquet") for spec in runs}
    assert len({tuple(r["step"] for r in curve if r["step"] <= 8) for curve in curves.values()}) > 2


@pytest.mark.full
def test_warm_up_stable_decay_shares_across_two_budgets_and_past_the_events(
    sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    """The longer dense run is the trunk; a run that decays later goes on from a sparse one, masks and all."""
    short, long = sweep(STABLE, (0.0, 0.8), 32), sweep(STABLE, (0.0, 0.8), 48)
    early = replace(short[1], run_id="early", optimizer=replace(STABLE, decay=0.6))
    runs = [*short, *long, early]
    forest = train_shared(runs, tmp_path, text)
    decays = early.schedule.total_steps - int(0.6 * early.schedule.total_steps)
    assert decays > early.schedule.start_step
    assert forest.forks == {
        "32-s0": prefix_plan.Fork("48-s0", 27),
        "48-s0.8": prefix_plan.Fork("48-s0", 12),
        "32-s0.8": prefix_plan.Fork("48-s0", 8),
        "early": prefix_plan.Fork("32-s0.8", decays + 1),  # the first step of the decay is still at the peak
    }
    assert_as_alone(runs, tmp_path, text)


def test_without_a_dense_run_a_sparse_one_is_the_trunk(
    sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    runs = sweep(COMPUTE, (0.4, 0.8))
    runs.append(replace(runs[0], run_id="late", pruning=PruningSpec(0.4, 0.5, 0.75, 4, "geometric")))
    forest = train_shared(runs, tmp_path, text)
    assert forest.forks == {"32-s0.8": prefix_plan.Fork("late", 8), "32-s0.4": prefix_plan.Fork("late", 8)}
    assert_as_alone(runs, tmp_path, text)


# ------------------------------------------------------------------------------------ checkpoints to fork at


def test_fork_checkpoints_stay_beside_those_that_come_and_go_until_they_are_discarded(
    sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    [dense] = sweep(COMPUTE, (0.0,))
    folder = Folder.open(tmp_path / "dense")
    resources = Resources(checkpoint_every=7, keep_checkpoints=1)
    train_loop(assigned(dense, folder, text, resources, (8, 16)).to_dict())
    assert (folder / "forks").names() == [name_of(8), name_of(16)]
    assert (folder / "checkpoint").names() == [name_of(32)]
    assert [ready(folder, step) for step in (8, 12, 16, 32)] == [True, False, True, False]
    discard(folder, keep=[16])
    assert (folder / "forks").names() == [name_of(16)]
    discard(folder)
    assert (folder / "forks").names() == []
    assert RunFolder(folder).is_done(dense)


@pytest.mark.parametrize(
    "damage", ["masks.safetensors", *(pytest.param(f, marks=pytest.mark.full) for f in ("manifest.json", "rows.json"))]
)
def test_a_damaged_fork_checkpoint_is_not_ready_and_is_made_again_by_a_parent_that_comes_by(
    damage: str, sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    [dense] = sweep(COMPUTE, (0.0,))
    folder, saved = Folder.open(tmp_path / "dense"), tmp_path / "dense" / "forks" / name_of(8)
    stopped(dense, folder, text, OFTEN, 10, (8,))
    before = {f.name: f.read_bytes() for f in saved.glob("*.safetensors")}
    assert len(before) == 2
    (saved / damage).write_bytes((saved / damage).read_bytes()[:-3])
    assert not ready(folder, 8)
    train(dense, folder, text, Resources(), (8,))
    assert ready(folder, 8)
    assert {f.name: f.read_bytes() for f in saved.glob("*.safetensors")} == before


@pytest.mark.parametrize(
    ("resumed", "made"),
    [
        pytest.param(4, True, id="before the fork", marks=pytest.mark.full),
        pytest.param(8, True, id="at the fork"),
        pytest.param(12, False, id="after the fork"),
    ],
)
def test_a_parent_taken_up_again_makes_the_checkpoint_that_is_missing_where_it_still_can(
    resumed: int, made: bool, sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    dense, child = sweep(COMPUTE, (0.0, 0.8))
    folder, whole = Folder.open(tmp_path / "dense"), Folder.open(tmp_path / "whole")
    stopped(dense, folder, text, OFTEN, 14, (8,))
    for step in (4, 8, 12):
        if step > resumed:
            shutil.rmtree(tmp_path / "dense" / "checkpoint" / name_of(step))
    discard(folder)
    train(dense, folder, text, Resources(), (8,))
    train(dense, whole, text, Resources())
    assert_same(folder, whole, "with a fork, stopped and gone on")
    assert ready(folder, 8) is made
    if made:
        alone, forked = Folder.open(tmp_path / "alone"), Folder.open(tmp_path / "forked")
        fork(folder, forked, child, 8)
        for place in (alone, forked):
            train(child, place, text, Resources())
        assert_same(forked, alone, "from a parent that was stopped", but_for=FORKED)


def test_a_parent_that_has_not_logged_each_step_before_it_leaves_no_checkpoint(
    sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    """Its children's curves would lack rows; they train alone."""
    [dense] = sweep(COMPUTE, (0.0,))
    folder = Folder.open(tmp_path / "dense")
    stopped(dense, folder, text, OFTEN, 6)
    train(dense, folder, text, Resources(), (8,))
    assert not ready(folder, 8)
    assert RunFolder(folder).is_done(dense)


@pytest.mark.parametrize("step", [0, -1, 32])
def test_a_step_that_no_run_can_fork_at_is_refused(
    step: int, sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    [dense] = sweep(COMPUTE, (0.0,))
    with pytest.raises(UserError, match="no such step to fork at") as error:
        train(dense, Folder.open(tmp_path / "dense"), text, Resources(), (8, step))
    assert error.value.key == "forks"
    assert not (tmp_path / "dense").exists()


def test_learning_rates_that_differ_before_the_fork_are_refused_and_the_step_is_named(
    sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    dense, child = sweep(COMPUTE, (0.0, 0.8))
    folder = Folder.open(tmp_path / "dense")
    stopped(dense, folder, text, OFTEN, 9, (8,))
    paper = replace(child, optimizer=replace(COMPUTE, lr_schedule="cosine"))
    with pytest.raises(UserError, match="can't continue from") as error:
        fork(folder, Folder.open(tmp_path / "child"), paper, 8)
    assert error.value.key == "optimizer.lr"
    assert "at step 1" in str(error.value)
    assert not begun(Folder.open(tmp_path / "child"))


def on_two(specs: list[dict[str, Any]], corpus: Path, root: Path) -> None:
    """On each of two workers: the trunk, the child from its fork, and the child alone."""
    dense, child = (strict.build(RunSpec, spec) for spec in specs)
    folders = {name: Folder.open(root / name) for name in ("dense", "child", "alone")}
    text, resources = Corpus(corpus), Resources(workers=2)
    train(dense, folders["dense"], text, resources, (8,))
    workers.join()
    if workers.dist.get_rank() == 0:
        fork(folders["dense"], folders["child"], child, 8, text.hash)
    workers.dist.barrier()
    for name in ("child", "alone"):
        train(child, folders[name], text, resources)
        workers.join()


@pytest.mark.full
def test_two_workers_leave_one_checkpoint_and_go_on_from_it_as_if_alone(
    sweep: Callable[..., list[RunSpec]], text: Corpus, tmp_path: Path
) -> None:
    specs = [spec.to_dict() for spec in sweep(COMPUTE, (0.0, 0.8))]
    workers.run(2, on_two, specs, text.folder, tmp_path)
    manifest = json.loads((tmp_path / "dense" / "forks" / name_of(8) / "manifest.json").read_text())
    assert manifest["world"] == 2
    assert_same(Folder.open(tmp_path / "child"), Folder.open(tmp_path / "alone"), "on two", but_for=FORKED)
