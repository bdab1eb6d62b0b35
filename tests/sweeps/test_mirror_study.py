"""The runs of study `mirror`: sets of equal N_avg, tokens and rates, to the weight."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from repro import columns
from repro.errors import UserError
from repro.spec import PruningSpec, RunSpec
from sweeps.grid import expand
from sweeps.mirrored_sets import EqualTo
from sweeps.plan import print_expand
from tests.sweeps.small import write

Sweeps = Callable[..., Path]
COMMITTED = Path(__file__).parents[2] / "sweeps"
SETS = "sizes: [13k], budgets: [20tpp, 80tpp], sparsities: [0.4, 0.8], seeds: [0, 1]"
ONE = "sizes: [13k], budgets: [80tpp], sparsities: [0.8]"
CONTROLS = """
  controls: {size: 13k, budget: 80tpp, sparsity: 0.8, variants: [
    {members: [falling, rising], lr_schedule: cosine}, {members: [rising], fill: draw}, {members: [rising], choose: gradient},
    {members: [falling], score: random}, {members: [static], score: magnitude},
    {members: [falling, rising, static], lr_multiple: 0.5}]}"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Sweeps:
    return partial(
        write,
        tmp_path,
        corpus="{source: package, name: botocore}",
        budgets="{20tpp: 20, 80tpp: 80}",
        optimizer="{batch: 8, lr_schedule: cosine_compute}",
        rates="{tokens_per_param: 20, tokens: -0.35, params: -0.86, density: -0.39}",
        partners="{mlp_multiple: 1, tolerance: 0.05}",
    )


def mirror(keys: str, more: str = "") -> str:
    return f"mirror: {{{keys}, partners: false, dense: false{more}}}"


def sets_of(runs: Iterable[RunSpec]) -> dict[tuple[str, int], list[RunSpec]]:
    """The sparse runs by family and seed."""
    found = defaultdict(list)
    for run in runs:
        if run.pruning.sparsity:
            found[columns.planned(run)["family"], run.seed].append(run)
    return found


def check(own: list[RunSpec]) -> None:
    """Steps, tokens and rates of a set are equal, and N_avg to the weight; of falling and rising exactly."""
    prunable = {run.model.shape.prunable for run in own}.pop()
    assert {run.model for run in own} == {own[0].model}
    assert len({(run.schedule.total_steps, run.tokens, run.optimizer.batch, run.seed) for run in own}) == 1
    falling = next(run.schedule for run in own if run.schedule.shape == "geometric" and not run.schedule.mirror)
    for run in own:
        off = abs(run.schedule.weight_steps(prunable) - falling.weight_steps(prunable))
        assert off < falling.total_steps, run.run_id
        if run.schedule.shape == "geometric":
            assert off == 0
        reflected = run.schedule.mirrored() if run.schedule.mirror else run.schedule
        if run.schedule.shape == "geometric":
            assert reflected.weights(prunable) == falling.weights(prunable)


def test_members_of_a_set_have_equal_steps_tokens_rates_and_average_to_the_weight(sweep_file: Sweeps) -> None:
    found = sets_of(expand(sweep_file(studies=mirror(SETS))).of("mirror"))
    assert len(found) == 2 * 2 * 2
    for (family, _), own in found.items():
        check(own)
        assert len(own) == 6
        assert [run.schedule.shape for run in own] == [
            *("geometric", "geometric", "constant", "constant", "static_dense", "saw_tooth"),
        ]
        assert len({run.optimizer for run in own}) == 1
        falling, rising, static, moving, dense_at_last, teeth = own
        assert family == f"{falling.size}-{falling.budget}-mirror{falling.pruning.sparsity * 100:.0f}"
        assert (rising.schedule.mirror, rising.pruning.score, rising.pruning.choose) == (True, "random", "random")
        assert (static.pruning.score, static.pruning.moves) == ("random", None)
        assert moving.pruning.moves is not None
        assert replace(moving.pruning, moves=None) == static.pruning, "it begins with the static member's mask"
        assert dense_at_last.schedule.n_final(100) == 100
        assert dense_at_last.pruning.sparsity == pytest.approx(
            0.5 if falling.pruning.sparsity == 0.4 else 0.75, abs=0.01
        )
        assert teeth.pruning.sparsity == pytest.approx(falling.pruning.sparsity, abs=0.02)
        assert len({run.schedule.weights(1000).final for run in own}) >= 3


@pytest.mark.parametrize("name", ["arrow", pytest.param("arrow-gpu", marks=pytest.mark.full)])
def test_committed_sets_are_equal_to_the_weight_and_have_their_dense_runs(name: str) -> None:
    runs = expand(COMMITTED / f"{name}.yaml").of("mirror")
    found, dense = sets_of(runs), [run for run in runs if not run.pruning.sparsity]
    assert len(found) == 2 * 2 * 3
    for own in found.values():
        check(own)
        first = own[0]
        beside = [
            run.model.shape.prunable
            for run in dense
            if (run.schedule.total_steps, run.seed) == (first.schedule.total_steps, first.seed)
        ]
        assert max(beside) == first.model.shape.prunable
        wanted = first.schedule.n_avg(first.model.shape.prunable)
        assert min(beside) == pytest.approx(wanted, rel=8e-3)
        assert len(beside) == (3 if first.pruning.sparsity == 0.4 else 2)


def test_dense_runs_beside_a_set_have_its_tokens_their_own_rates_and_families(sweep_file: Sweeps) -> None:
    studies = f"mirror: {{{ONE}, members: [falling], same_width: [0.8]}}"
    sizes = "{13k: {d_model: 16, mlp: 160, lr: 0.01}}"
    falling, partner, narrow, whole = expand(sweep_file(studies=studies, sizes=sizes)).of("mirror")
    assert {run.tokens for run in (falling, partner, narrow, whole)} == {falling.tokens}
    assert narrow.model == replace(falling.model, mlp=narrow.model.mlp)
    assert whole.model == falling.model
    assert partner.model.d_model < 16
    for run in (partner, narrow):
        assert run.model.shape.prunable == pytest.approx(falling.schedule.n_avg(falling.model.shape.prunable), rel=0.05)
    assert whole.optimizer.lr < partner.optimizer.lr < falling.optimizer.lr
    families = [columns.planned(run)["family"] for run in (falling, partner, narrow, whole)]
    assert families == ["13k-80tpp-mirror80", "13k-p80-80tpp", "13k-w80-80tpp", "13k-80tpp-D80"]


def test_controls_differ_from_their_member_in_one_setting(sweep_file: Sweeps) -> None:
    [own] = sets_of(expand(sweep_file(studies=mirror(ONE, "," + CONTROLS))).of("mirror")).values()
    check(own)
    members, controls = own[:6], own[6:]
    assert len(controls) == 9

    def differing(run: RunSpec, member: RunSpec) -> list[str]:
        rows = [columns.planned(one) for one in (run, member)]
        labels = ("run_id", "fingerprint", "recipe")
        return [name for name in rows[0] if rows[0][name] != rows[1][name] and name not in labels]

    nearest = [min((differing(run, member) for member in members), key=len) for run in controls]
    assert nearest == [["lr_schedule"]] * 2 + [["fill"], ["choose"], ["score"], ["score"]] + [["lr"]] * 3
    assert {run.optimizer.lr for run in controls[-3:]} == {members[0].optimizer.lr / 2}


def test_the_label_of_a_set_stays_whichever_study_asks_first(sweep_file: Sweeps, capsys: pytest.CaptureFixture) -> None:
    law = "law: {sizes: [13k], budgets: [80tpp], sparsities: [0.8]}, "
    file = sweep_file(studies="{" + law + mirror(ONE) + "}")
    assert print_expand(file, as_json=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["studies"] == ["law", "mirror"]
    assert {(row["family"], row["seed"]) for row in rows} == {("13k-80tpp-mirror80", 0)}
    assert [row["mirror"] for row in rows] == [None, True, None, None, None, None]
    labels = replace(expand(file).runs[0].spec, family=None)
    assert labels.fingerprint == rows[0]["fingerprint"], "a label"


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ("sizes: [13k], budgets: [80tpp], sparsities: [0]", "sparsities"),
        (ONE + ", same_width: [0.4]", "same_width"),
        (ONE + ", members: [shrinking]", "members"),
        (
            ONE + ", controls: {size: 13k, budget: 80tpp, sparsity: 0.8, variants: [{members: [static], batch: 16}]}",
            "controls.variants",
        ),
        (
            ONE
            + ", controls: {size: 13k, budget: 80tpp, sparsity: 0.8, variants: [{members: [static], lr: 0.1, lr_multiple: 2}]}",
            "lr",
        ),
        (
            ONE + ", controls: {size: 13k, budget: 80tpp, sparsity: 0.8, variants: [{members: [], lr_multiple: 2}]}",
            "without members",
        ),
        ("sizes: [13k], budgets: [80tpp], sparsities: [0.95]", "members"),
    ],
)
def test_what_no_set_can_be_is_refused_by_its_key(sweep_file: Sweeps, keys: str, key: str) -> None:
    with pytest.raises(UserError) as refused:
        expand(sweep_file(studies=mirror(keys)))
    assert key in f"{refused.value.key} {refused.value.message} {refused.value.expected}"


@pytest.mark.parametrize("shape", ["geometric", "linear", "cubic"])
@pytest.mark.parametrize("window", [(0.25, 0.75), (0.0, 0.5), (0.5, 0.75)])
def test_schedules_of_other_shapes_are_found_for_most_falling_ones(shape: str, window: tuple[float, float]) -> None:
    for prunable, dense_steps, sparsity in ((24_240, 1_420, 0.8), (3_000_000, 900, 0.6), (160_000, 5_000, 0.4)):
        falling = PruningSpec(sparsity, *window, 10, shape).schedule(dense_steps)  # type: ignore[arg-type]
        equal = EqualTo(falling, dense_steps, prunable)
        for timed, made in (
            (equal.constant(), "constant"),
            (equal.static_dense(), "static_dense"),
            (equal.saw_tooth(sparsity, window[0]), "saw_tooth"),
        ):
            ends = (timed.window.dense, timed.window.end) if timed.window else (0.0, 0.0)
            schedule = PruningSpec(timed.sparsity, *ends, shape=made).schedule(dense_steps)  # type: ignore[arg-type]
            assert schedule.total_steps == falling.total_steps
            assert abs(schedule.n_avg(prunable) - falling.n_avg(prunable)) < 1
