"""Shared prefixes: what may be shared is, to the bit and no further."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro.spec import EvalSpec, MovesSpec, OptimizerSpec, PruningSpec, RunSpec
from sweeps import prefix_plan, savings
from sweeps.prefix_plan import Forest, Fork, grow

SWEEPS = Path(__file__).parents[2] / "sweeps"
COMPUTE = OptimizerSpec(5e-3, 4, lr_schedule="cosine_compute", warmup=0.05)
STABLE = OptimizerSpec(5e-3, 4, lr_schedule="wsd", warmup=10, decay=0.1)
Make = Callable[..., RunSpec]


@pytest.fixture
def grid(make_spec: Make) -> Callable[..., list[RunSpec]]:
    """The paper's forty schedules of one budget: ten windows at four sparsities."""

    def make(optimizer: OptimizerSpec = COMPUTE, dense_steps: int = 400, interval: int = 4) -> list[RunSpec]:
        windows = [(d, p) for d in (0, 25, 50, 75) for p in (25, 50, 75, 100) if d + p <= 100]
        return [
            replace(
                make_spec(dense_steps=dense_steps, run_id=f"{dense_steps}-s{s}-d{d}-p{p}"),
                optimizer=optimizer,
                pruning=PruningSpec(s / 100, d / 100, (d + p) / 100, interval, "geometric"),
            )
            for s in (20, 40, 60, 80)
            for d, p in windows
        ]

    return make


def dense(make_spec: Make, optimizer: OptimizerSpec = COMPUTE, dense_steps: int = 400) -> RunSpec:
    return replace(make_spec(0.0, dense_steps=dense_steps, run_id=f"{dense_steps}-dense"), optimizer=optimizer)


def histories(spec: RunSpec) -> list[tuple[object, ...]]:
    """Of each step what bears on the numbers and stands in the tables: its learning rate, density and weights left."""
    schedule, size = spec.schedule, spec.model.shape.prunable
    densities = [
        (schedule.density(step), sum(event <= step for event in schedule.event_steps))
        for step in range(schedule.total_steps)
    ]
    return [
        (spec.optimizer.lr_at(step, schedule), density, schedule.kept(done - 1, size) if done else size)
        for step, (density, done) in enumerate(densities)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [COMPUTE, STABLE, OptimizerSpec(5e-3, 4)], ids=["compute", "wsd", "paper"])
def test_each_step_that_runs_have_in_common_is_trained_once_and_none_that_they_have_not(
    optimizer: OptimizerSpec, grid: Callable[..., list[RunSpec]], make_spec: Make
) -> None:
    """Against the steps themselves: of all beginnings of all runs, each one counts once."""
    runs = [*grid(optimizer), *grid(optimizer, 200, 2), dense(make_spec, optimizer), dense(make_spec, optimizer, 200)]
    all_steps = {run.run_id: histories(run) for run in runs}
    forest, by_id = grow(runs), {run.run_id: run for run in runs}
    for child, start in forest.forks.items():
        mine, theirs = all_steps[child], all_steps[start.parent]
        assert mine[: start.step] == theirs[: start.step]
        at_end = start.step in (by_id[child].last_percent, len(theirs) - 1)
        assert at_end or mine[start.step] != theirs[start.step]
        assert start.step <= by_id[child].last_percent
        assert start.step >= forest.forks.get(start.parent, Fork("", 0)).step
    beginnings = {hash(tuple(steps[:count])) for steps in all_steps.values() for count in range(1, len(steps) + 1)}
    trained = sum(map(len, all_steps.values())) - sum(start.step for start in forest.forks.values())
    unworthy = sum(
        max(prefix_plan.LEAST, prefix_plan.WORTH * len(s)) for i, s in all_steps.items() if i not in forest.forks
    )
    assert len(beginnings) <= trained <= len(beginnings) + unworthy


@pytest.mark.slow
def test_the_forty_schedules_of_a_budget_share_what_the_arithmetic_says(grid: Callable[..., list[RunSpec]]) -> None:
    """In dense runs: 4 x (3 x .25 + 2 x .5 + .75) before pruning, .75 of it once; the grid takes 65.7."""
    found = savings.saving(grid(dense_steps=26_800, interval=100))
    assert found.alone.steps / 26_800 == pytest.approx(65.7, abs=0.05)
    assert found.saved.steps == 9.25 * 26_800
    assert found.saved.steps / found.alone.steps == pytest.approx(0.141, abs=5e-4)


def test_runs_fork_off_the_dense_run_at_their_first_event(grid: Callable[..., list[RunSpec]], make_spec: Make) -> None:
    runs = [*grid(), dense(make_spec)]
    forest = grow(runs)
    assert forest.forks == {
        run.run_id: Fork("400-dense", run.schedule.start_step) for run in runs if run.schedule.start_step
    }
    assert len(forest.forks) == 24
    assert forest.steps("400-dense") == (100, 200, 300)
    assert forest.steps("400-s20-d25-p25") == ()


def test_without_a_dense_run_the_one_that_prunes_last_is_the_trunk(grid: Callable[..., list[RunSpec]]) -> None:
    forest = grow(grid())
    assert {fork.parent for fork in forest.forks.values()} == {"400-s80-d75-p25"}
    assert len(forest.forks) == 23
    assert forest.steps("400-s80-d75-p25") == (100, 200, 300)


def test_runs_that_decay_at_other_times_share_their_events_too(make_spec: Make) -> None:
    early, late = (
        replace(make_spec(dense_steps=100, run_id=name), optimizer=replace(STABLE, decay=decay))
        for name, decay in (("early", 0.6), ("late", 0.1))
    )
    total = late.schedule.total_steps
    decays = total - int(0.6 * total)
    assert decays > early.schedule.start_step + 8
    [fork] = grow([late, early]).forks.values()
    assert fork.step == decays + 1  # its first step is still at the peak


def test_a_run_does_not_start_in_the_last_percent_that_its_training_loss_is_the_mean_of(make_spec: Make) -> None:
    flat = OptimizerSpec(5e-3, 4, warmup=0.0, final_lr=1.0)
    forest = grow([dense(make_spec, flat, steps) for steps in (400, 1_000)])
    assert forest.forks == {"400-dense": Fork("1000-dense", 396)}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"seed": 1}, "seed: 0 and 1"),
        ({"precision": "bf16"}, "precision: fp32 and bf16"),
        ({"evaluation": EvalSpec(blocks=8)}, "evaluation.blocks: 4 and 8"),
        ({"optimizer": replace(COMPUTE, weight_decay=0.0)}, "optimizer.weight_decay: 0.1 and 0.0"),
        ({"optimizer": replace(COMPUTE, batch=8)}, "optimizer.batch: 4 and 8"),
    ],
)
def test_what_differs_from_the_first_step_on_is_named(change: dict, name: str, make_spec: Make) -> None:
    one = dense(make_spec)
    found = savings.saving([one, replace(one, run_id="other", **change)])
    assert (found.forks, found.saved.steps) == ({}, 0)
    assert found.because == f"400-dense and other differ in {name}"


def test_with_the_papers_cosine_the_first_learning_rate_that_differs_is_named(
    grid: Callable[..., list[RunSpec]], make_spec: Make
) -> None:
    paper = OptimizerSpec(5e-3, 4)
    late = [run for run in grid(paper) if "s80-d75-p25" in run.run_id]
    found = savings.saving([dense(make_spec, paper), *late])
    assert found.forks == {}
    assert found.because is not None
    assert "prune alike until step 300, but their learning rates differ from step 1, " in found.because
    assert "lr_schedule cosine goes over each run's own 400 and 505 steps" in found.because


def test_how_weights_are_chosen_matters_from_the_first_event_on(make_spec: Make) -> None:
    usual = replace(make_spec(dense_steps=100), optimizer=COMPUTE)
    others = [
        replace(usual, run_id=next(iter(change)), pruning=replace(usual.pruning, **change))
        for change in ({"score": "random"}, {"distribution": "uniform"}, {"do_not_prune": ("q_proj",)})
    ]
    starts = {fork.step for fork in grow([usual, *others]).forks.values()}
    assert starts == {usual.schedule.start_step}
    assert len(grow([usual, *others]).forks) == 3


def test_what_returns_and_how_masks_move_matters_from_the_first_event_on(make_spec: Make) -> None:
    written: dict[str, Any] = {"shape": "pieces", "pieces": ((0, 1.0), (20, 0.2), (40, 0.5), (60, 0.7))}
    saw = replace(make_spec(0.8, dense_steps=100, run_id="saw", **written), optimizer=STABLE)
    sparse = make_spec(0.8, dense_steps=100, run_id="sparse", shape="constant", moves=MovesSpec(10, 0.3))
    sparse = replace(sparse, optimizer=STABLE)
    for run, shared, changes in (
        (saw, 20, ({"choose": "last"}, {"choose": "gradient"}, {"fill": "draw"}, {"distribution": "erdos_renyi"})),
        (sparse, 0, ({"moves": None}, {"moves": MovesSpec(20, 0.3)}, {"moves": MovesSpec(10, 0.3, "constant")})),
    ):
        for change in changes:
            other = replace(run, run_id="other", pruning=replace(run.pruning, **change))
            assert [fork.step for fork in grow([run, other]).forks.values()] == [shared] * (shared > 0), change
        alike = replace(run, run_id="alike", optimizer=replace(STABLE, decay=0.3))
        first_lower = run.schedule.total_steps - int(0.3 * run.schedule.total_steps) + 1
        assert [fork.step for fork in grow([run, alike]).forks.values()] == [first_lower]


# ------------------------------------------------------------------------------------------- for the driver


@pytest.mark.parametrize(
    ("todo", "begun", "ready", "expected"),
    [
        pytest.param("tab", "", "", {"a", "b"}, id="from the beginning"),
        pytest.param("tab", "a", "", {"b"}, id="one has begun"),
        pytest.param("ab", "", "", set(), id="the trunk is done and its checkpoints gone"),
        pytest.param("ab", "", "t", {"a", "b"}, id="the trunk is done and its checkpoints there"),
        pytest.param("tb", "t", "", {"b"}, id="one is done, the trunk has begun"),
        pytest.param("", "", "t", set(), id="all done"),
    ],
)
def test_of_the_runs_that_are_left_those_fork_whose_parent_is_left_or_has_left_its_checkpoint(
    todo: str, begun: str, ready: str, expected: set[str]
) -> None:
    forest = Forest({"a": Fork("t", 10), "b": Fork("t", 20)})
    found = forest.left(todo, lambda run: run in begun, lambda parent, step: parent in ready)
    assert set(found.forks) == expected
    assert found.steps("t") == tuple(step for run, step in (("a", 10), ("b", 20)) if run in expected)


# --------------------------------------------------------------------------------------------- the sweep file


def test_rising_runs_share_what_they_train_before_weights_come_back_and_nothing_with_falling_ones(
    make_spec: Make,
) -> None:
    falling = make_spec(dense_steps=400, run_id="falling", score="random")
    zero, drawn, other = (
        replace(make_spec(dense_steps=400, run_id=name, mirror=True, **{"score": "random"} | keys))
        for name, keys in (("zero", {}), ("drawn", {"fill": "draw"}), ("other", {"score": "magnitude"}))
    )
    assert grow([falling, zero, drawn, other]).forks == {}  # how weights come back is compared at every event
    again = replace(zero, run_id="again", pruning=replace(zero.pruning, end=0.74))
    forks = grow([zero, again]).forks
    assert all(histories(zero)[: fork.step] == histories(again)[: fork.step] for fork in forks.values())
