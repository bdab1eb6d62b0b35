"""A run that is stopped and started again, anywhere and as often as one likes, is the run that was not, to the bit."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro.corpus import Corpus
from repro.resources import Resources, Stage
from repro.spec import MovesSpec, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed
from repro.training import train
from repro.training.checkpoint_manifest import name_of
from tests.repro.training.lives import assert_same, life, rows, state, stopped

pytestmark = pytest.mark.slow

FULL = pytest.mark.full
Make = Callable[..., RunSpec]
Reference = Callable[[RunSpec, Resources], Folder]

# The steps of `warmed` below, and how its 50 random stops are spread over them and over the ZeRO stages.
TOTAL, POINTS, SAMPLE = 60, 50, 1
STAGES: tuple[Stage, ...] = (0, 1, 2, 3)
STOPS = random.Random(20).sample(range(1, TOTAL + 1), POINTS)
IN_BF16 = (1, 2, 17, 31)


@pytest.fixture(scope="module")
def uninterrupted(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The folder of a run that nobody stopped; trained once for every spec, stage and micro-batch."""
    known: dict[Any, Folder] = {}

    def of(spec: RunSpec, resources: Resources) -> Folder:
        key = (spec, resources.zero_stage, resources.micro_batch)
        if key not in known:
            known[key] = Folder.open(tmp_path_factory.mktemp("whole"))
            train.train(spec, known[key], text, resources)
        return known[key]

    return of


def warmed(make_spec: Make, precision: str = "fp32") -> RunSpec:
    """A run of 60 steps with a warm-up of 18; the events are every 4 steps from 8 to 28."""
    spec = make_spec(dense_steps=24, precision=precision)
    spec = replace(spec, optimizer=replace(spec.optimizer, warmup=0.3))
    schedule = spec.schedule
    assert (schedule.start_step, schedule.end_step, schedule.interval, schedule.total_steps) == (8, 28, 4, TOTAL)
    return spec


def check(spec: RunSpec, stop: int, stage: Stage, text: Corpus, root: Path, uninterrupted: Reference) -> None:
    """Stops before `stop` with a checkpoint just there, goes on, and compares."""
    folder = Folder.open(root / "run")
    first = stopped(spec, folder, text, Resources(zero_stage=stage, checkpoint_every=stop), stop)
    assert first.steps == list(range(stop))
    assert (folder / "checkpoint").names() == [name_of(stop)]
    with life() as second:
        train.train(spec, folder, text, Resources(zero_stage=stage))
    assert second.steps == list(range(stop, spec.schedule.total_steps))
    whole = uninterrupted(spec, Resources(zero_stage=stage))
    assert_same(folder, whole, f"after a stop before step {stop} at stage {stage}")


@pytest.mark.parametrize("point", [pytest.param(i, marks=[FULL] * (i >= SAMPLE)) for i in range(POINTS)])
def test_stopping_anywhere_and_going_on_changes_no_bit(
    point: int, text: Corpus, make_spec: Make, tmp_path: Path, uninterrupted: Reference
) -> None:
    spec = warmed(make_spec, "bf16" if point in IN_BF16 else "fp32")
    check(spec, STOPS[point], STAGES[point % 4], text, tmp_path, uninterrupted)


@pytest.mark.parametrize(
    ("stop", "stage"),
    [
        pytest.param(1, 1, id="after the first step", marks=FULL),
        pytest.param(13, 2, id="before warm-up ends"),
        pytest.param(8, 1, id="on the first event", marks=FULL),
        pytest.param(16, 3, id="on an event"),
        pytest.param(22, 1, id="between two events", marks=FULL),
        pytest.param(28, 0, id="on the last event"),
        pytest.param(TOTAL - 1, 1, id="before the last step", marks=FULL),
        pytest.param(TOTAL, 1, id="after the last step"),
    ],
)
def test_stopping_at_a_marked_place_changes_no_bit(
    stop: int, stage: Stage, text: Corpus, make_spec: Make, tmp_path: Path, uninterrupted: Reference
) -> None:
    check(warmed(make_spec), stop, stage, text, tmp_path, uninterrupted)


# Down to .4, up to .55, down to .3 and up in two steps to .85: what returns has been removed at three events.
PIECES = ((0, 0.7), (4, 0.4), (8, 0.55), (12, 0.3), (16, 0.6), (20, 0.85))
RETURNING: dict[str, dict[str, Any]] = {
    "last, drawn": {"shape": "pieces", "pieces": PIECES, "choose": "last", "fill": "draw"},
    "gradient": {"shape": "pieces", "pieces": PIECES, "choose": "gradient", "distribution": "uniform"},
    "random, drawn": {"shape": "pieces", "pieces": PIECES, "fill": "draw"},
    "SET": {"shape": "constant", "moves": MovesSpec(4, 0.3, "constant"), "score": "random"},
    "RigL": {"shape": "constant", "moves": MovesSpec(4, 0.3, return_="gradient"), "distribution": "erdos_renyi"},
}


@pytest.mark.parametrize(
    ("kind", "stop", "stage", "precision"),
    [
        ("last, drawn", 16, 3, "bf16"),
        ("RigL", 12, 1, "fp32"),
        *(
            pytest.param(kind, stop, stage, precision, marks=FULL)
            for kind in RETURNING
            for stop, stage, precision in ((13, 0, "fp32"), (16, 1, "bf16"), (20, 2, "fp32"), (21, 3, "fp32"))
        ),
    ],
)
def test_stopping_around_events_that_return_weights_changes_no_bit(
    kind: str,
    stop: int,
    stage: Stage,
    precision: str,
    text: Corpus,
    make_spec: Make,
    tmp_path: Path,
    uninterrupted: Reference,
) -> None:
    spec = make_spec(0.7, dense_steps=16, precision=precision, **RETURNING[kind])
    assert spec.schedule.returns
    check(spec, stop, stage, text, tmp_path, uninterrupted)


def test_stopping_twice_with_other_checkpoints_on_the_way_changes_no_bit(
    text: Corpus, make_spec: Make, tmp_path: Path, uninterrupted: Reference
) -> None:
    spec, folder = warmed(make_spec), Folder.open(tmp_path / "run")
    lives = [
        stopped(spec, folder, text, Resources(checkpoint_every=7), 24),
        stopped(spec, folder, text, Resources(checkpoint_every=5), 43),
    ]
    with life() as last:
        train.train(spec, folder, text, Resources(checkpoint_every=11))
    assert [(found.steps[0], found.steps[-1]) for found in (*lives, last)] == [(0, 23), (21, 42), (40, TOTAL - 1)]
    assert_same(folder, uninterrupted(spec, Resources()), "after two stops")


def test_what_was_evaluated_and_averaged_before_a_stop_is_in_the_tables(
    text: Corpus, make_spec: Make, tmp_path: Path, uninterrupted: Reference
) -> None:
    spec = make_spec(dense_steps=80)  # of its 200 steps the last 1% are two
    spec = replace(spec, evaluation=replace(spec.evaluation, every=7))
    total, folder = spec.schedule.total_steps, Folder.open(tmp_path / "run")
    assert total // 100 == 2
    stopped(spec, folder, text, Resources(checkpoint_every=total - 1), total - 1)
    train.train(spec, folder, text, Resources())
    assert_same(folder, uninterrupted(spec, Resources()), "after a stop between the last two steps")


def test_going_on_with_other_micro_batches_gives_nearly_the_same_run(
    text: Corpus, make_spec: Make, tmp_path: Path, uninterrupted: Reference
) -> None:
    spec, folder = warmed(make_spec), Folder.open(tmp_path / "run")
    stopped(spec, folder, text, Resources(checkpoint_every=30), 30)
    with life() as second:
        row = train.train(spec, folder, text, Resources(micro_batch=1))
    assert second.steps[0] == 30
    assert row["micro_batch"] == 1
    whole = uninterrupted(spec, Resources())
    [theirs] = rows(whole, "run.parquet")
    assert row["loss"] == pytest.approx(theirs["loss"], abs=2e-4)
    assert state(folder) != state(whole), "the micro-batches were the same"
    curves = rows(folder, "curve.parquet"), rows(whole, "curve.parquet")
    assert curves[0][:30] == curves[1][:30], "what was logged before the stop has changed"


def test_a_spike_after_a_stop_is_held_against_the_losses_before_it(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, bound = make_spec(dense_steps=24), 0.1  # nats; so close, an ordinary step is a spike
    with pytest.raises(RunFailed, match="the loss spiked") as whole:
        train.train(spec, Folder.open(tmp_path / "whole"), text, Resources(spike=bound))
    [at] = map(int, re.findall(r"at step (\d+)", str(whole.value)))
    stopped(spec, Folder.open(tmp_path / "run"), text, Resources(spike=bound, checkpoint_every=at), at)
    with life() as second, pytest.raises(RunFailed) as again:
        train.train(spec, Folder.open(tmp_path / "run"), text, Resources(spike=bound))
    assert second.steps[0] == at > 10
    assert str(again.value) == str(whole.value)
