"""The runs of studies `parents` and `post_training`, and single runs after surgery."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from repro import columns, ladder
from repro.errors import UserError
from repro.spec import RunSpec
from sweeps.grid import expand
from sweeps.plan import plan
from sweeps.scaling import heldout_tokens
from tests.sweeps.small import write

Sweeps = Callable[..., Path]
MODEL = "{vocab: 288, sequence: 64, layers: 4, heads: 2}"
PARENTS = "parents: {points: [{size: 4k, budget: 20tpp}, {size: 13k, budget: 20tpp, seeds: [0, 1]}, {size: 13k, budget: 10tpp}]}"
POST = """
post_training:
  budget: 20tpp
  tokens: 20000
  rates: {4k: [0.1, 0.2], 13k: [0.14, 0.28]}
  methods: [{method: depth-taylor}, {method: wanda, structure: "2:4"}]
  lr_multiples: {4k: 0.1, 13k: 0.3}
  calibration: {sequences: 16, seed: 5}
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Sweeps:
    return partial(write, tmp_path, model=MODEL)


def runs_of(file: Path) -> dict[str, RunSpec]:
    return {spec.run_id: spec for spec in expand(file).of("post_training")}


def test_every_parent_of_the_budget_is_pruned_by_every_method_at_its_rates_and_trained_on(sweep_file: Sweeps) -> None:
    sweep = expand(sweep_file(studies=PARENTS + POST))
    parents, runs = {spec.run_id: spec for spec in sweep.of("parents")}, runs_of(sweep.file)
    assert len(parents) == 4
    pruned = [spec for spec in runs.values() if spec.surgery is not None and spec.surgery.rate]
    assert len(pruned) == 3 * 2 * 2
    assert sum(spec.surgery is not None and spec.surgery.rate == 0 for spec in runs.values()) == len(parents)
    for spec in runs.values():
        parent = spec.parent
        assert parent is not None
        assert parent == parents[parent.run_id]
        assert spec.starts_at_the_end
        assert spec.position == parent.schedule.total_steps * parent.optimizer.batch, "the text goes on"
        assert spec.optimizer.lr == parent.optimizer.lr * {"4k": 0.1, "13k": 0.3}[parent.size]
        rates = [spec.optimizer.lr_at(step, spec.schedule) for step in range(spec.schedule.total_steps)]
        assert rates[0] == 0 < rates[5] < rates[10] == spec.optimizer.lr
        assert set(rates[10:]) == {spec.optimizer.lr}, "constant after the warm-up"
        assert abs(spec.tokens - 20000) <= spec.tokens_per_step
        assert len(spec.evaluation.log_spaced(spec.schedule.total_steps)) > 5
    wanda = runs["13k-wanda-2of4-r28-20tpp-seed1"]
    assert wanda.surgery is not None
    assert wanda.surgery.calibration is not None
    assert wanda.surgery.calibration.seed == 5
    row = columns.planned(wanda)
    assert row["rho"] == pytest.approx(0.28, abs=0.05)
    assert row["N_prunable"] - row["N_final"] == round(row["rho"] * row["N_total_before"])
    depth = runs["13k-depth-taylor-r28-20tpp-seed1"]
    assert (depth.model.layers, depth.pruning.sparsity) == (2, 0)


def test_controls_are_the_random_method_the_initialisation_a_decay_a_younger_parent_and_other_rates(
    sweep_file: Sweeps,
) -> None:
    controls = """
  controls:
    sizes: [13k]
    random: [random-depth, random-width]
    scratch: [width-taylor]
    decayed: [depth-taylor]
    aged: [depth-taylor]
    lr_multiples: [0.1, 0.3]
"""
    plain, runs = runs_of(sweep_file(studies=PARENTS + POST)), runs_of(sweep_file(studies=PARENTS + POST + controls))
    added = {name: spec for name, spec in runs.items() if name not in plain}
    assert sorted(added) == sorted(
        [
            *(f"13k-random-{kind}-r{rate}-20tpp-seed0" for kind in ("depth", "width") for rate in (14, 28)),
            *(f"13k-width-taylor-r{rate}-scratch-20tpp-seed0" for rate in (14, 28)),
            *(f"13k-depth-taylor-r{rate}-20tpp-seed0-decayed" for rate in (14, 28)),
            *(f"13k-depth-taylor-r{rate}-10tpp-seed0" for rate in (14, 28)),
            "4k-depth-taylor-r20-20tpp-seed0-lr3e-3",
            "13k-depth-taylor-r28-20tpp-seed0-lr1e-3",
        ]
    )
    scratch = added["13k-width-taylor-r28-scratch-20tpp-seed0"]
    assert (scratch.start, scratch.position, scratch.surgery) == (None, 0, None)
    assert scratch.model == added["13k-random-width-r28-20tpp-seed0"].model
    assert scratch.tokens == runs["13k-depth-taylor-r28-20tpp-seed0"].tokens
    decayed, usual = (runs[f"13k-depth-taylor-r28-20tpp-seed0{end}"] for end in ("-decayed", ""))
    assert decayed.optimizer.lr_at(decayed.schedule.total_steps - 1, decayed.schedule) < 0.5 * usual.optimizer.lr
    young = added["13k-depth-taylor-r28-10tpp-seed0"]
    assert young.parent is not None
    assert 2 * young.parent.tokens == pytest.approx(usual.parent.tokens if usual.parent else 0, rel=0.02)


def test_plan_memory_and_lineage_know_what_surgery_leaves(sweep_file: Sweeps) -> None:
    sweep = expand(sweep_file(studies=PARENTS + POST))
    priced, runs = plan(sweep), runs_of(sweep.file)
    depth = runs["13k-depth-taylor-r28-20tpp-seed0"]
    parent = depth.parent
    assert parent is not None
    assert priced.starts[depth.run_id].parent == parent.run_id
    assert priced.starts[depth.run_id].tokens == parent.tokens + depth.tokens
    assert priced.runs[depth.run_id].executed_flops < priced.runs["13k-unpruned-20tpp-seed0"].executed_flops
    weights = parent.model.shape.prunable * parent.tokens + depth.model.shape.prunable * depth.tokens
    assert depth.life.n_avg == weights / (parent.tokens + depth.tokens)
    blocks = depth.evaluation.blocks * depth.evaluation.block_sequences * depth.model.sequence
    times = depth.evaluation.times(depth.schedule.total_steps)
    assert heldout_tokens(depth) == (2 + times) * blocks, "before surgery, after it and while it trains, to its end"


def test_a_single_run_may_begin_with_surgery(sweep_file: Sweeps) -> None:
    surgery = "{method: sparsegpt, structure: '2:4', calibration: {sequences: 8}}"
    file = sweep_file(
        studies="{}",
        runs=f"[{{size: 4k, budget: 20tpp, id: parent}}, "
        f"{{size: 4k, budget: 10tpp, start: {{run: parent, at: end, surgery: {surgery}}}}}]",
    )
    [parent, child] = [run.spec for run in expand(file).runs]
    assert child.run_id == "4k-10tpp-s00-seed0-from-parent-sparsegpt-2of4"
    assert child.schedule.n_final(child.model.shape.prunable) == parent.model.shape.prunable - sum(
        child.surgery.zeros(parent.model).values() if child.surgery else ()
    )


def test_a_single_run_may_grow_first_and_is_sized_and_priced_as_what_it_becomes(sweep_file: Sweeps) -> None:
    start = "start: {{run: parent, surgery: {{method: {}, factor: {}}}}}".format
    children = [start("grow-depth-stack", 2), start("grow-inner-noise", 2), start("grow-width", 1)]
    file = sweep_file(
        studies="{}",
        runs=f"[{{size: 4k, budget: 20tpp, id: parent}}, "
        f"{', '.join(f'{{size: 4k, budget: 10tpp, {child}}}' for child in children)}]",
    )
    sweep = expand(file)
    [parent, stacked, wide, same] = [run.spec for run in sweep.runs]
    assert [child.run_id for child in (stacked, wide, same)] == [
        f"4k-10tpp-s00-seed0-from-parent-{end}" for end in ("grow-depth-stack-x2", "grow-inner-noise-x2", "ungrown")
    ]
    assert (stacked.model.layers, wide.model.mlp) == (2 * parent.model.layers, 2 * parent.model.mlp)
    assert stacked.model.shape.prunable == wide.model.shape.prunable
    assert same.model == parent.model
    priced = plan(sweep).runs
    assert stacked.tokens == same.tokens
    for child in (stacked, wide, same):
        counted = ladder.executed_flops(child.model.shape, child.tokens, child.model.sequence)
        assert priced[child.run_id].executed_flops == counted
    assert stacked.life.n_avg > parent.model.shape.prunable


@pytest.mark.parametrize(
    ("surgery", "key", "message"),
    [
        ("{method: grow-width}", "factor", "no factor"),
        ("{method: grow-width, factor: 65}", "factor", "out of range"),
        ("{method: grow-inner, factor: 3}", "factor", "gives no possible model"),
        ("{method: grow-width, factor: 2, rate: 0.1}", "rate", "takes no rate"),
        ("{method: magnitude, rate: 0.1, factor: 2}", "factor", "takes no factor"),
        ("{method: depth_taylor, rate: 0.2}", "method", "no such method"),
        ("{method: depth-taylor, rate: 0.01}", "rate", "removes no block"),
        ("{method: depth-taylor, rate: 0.9}", "rate", "leaves no block"),
        ("{method: depth-taylor}", "rate", "no rate"),
        ("{method: magnitude, structure: '2:5'}", "structure", "rows that can't be divided into groups"),
        ("{method: magnitude, rate: 0.1, calibration: {sequences: 2}}", "calibration", "takes no calibration"),
        ("{method: wanda, rate: 0.1, seed: 1}", "seed", "takes no seed"),
        ("{method: random-depth, rate: 0.1, structure: '2:4'}", "structure", "takes no structure"),
        ("{method: wanda, rate: 0.1, calibration: {tokens: 99}}", "calibration.tokens", "longer than"),
    ],
)
def test_a_surgery_that_cannot_be_is_refused_before_anything_is_trained(
    surgery: str, key: str, message: str, sweep_file: Sweeps
) -> None:
    file = sweep_file(
        studies="{}",
        runs=f"[{{size: 4k, budget: 20tpp, id: parent}}, {{size: 4k, budget: 10tpp, start: {{run: parent, surgery: {surgery}}}}}]",
    )
    with pytest.raises(UserError, match=message) as caught:
        expand(file)
    assert str(caught.value.key).endswith(key)
    assert "runs[1]" in str(caught.value.key)


def test_a_run_after_one_shot_surgery_has_no_schedule_of_its_own(sweep_file: Sweeps) -> None:
    file = sweep_file(
        studies="{}",
        runs="[{size: 4k, budget: 20tpp, id: parent}, "
        "{size: 4k, budget: 20tpp, sparsity: 0.5, start: {run: parent, surgery: {method: magnitude, rate: 0.2}}}]",
    )
    with pytest.raises(UserError, match="must keep the zeros"):
        expand(file)


@pytest.mark.parametrize(
    ("studies", "key"),
    [
        (POST, "studies.post_training"),
        (PARENTS + POST.replace("budget: 20tpp", "budget: 30tpp"), "studies.post_training.budget"),
        (PARENTS + POST.replace("{4k: 0.1, 13k: 0.3}", "{4k: 0.1}"), "studies.post_training"),
        (
            PARENTS + POST.replace("{4k: 0.1, 13k: 0.3}", "{4k: 0.1, 13k: 1, 14k: 1}"),
            "studies.post_training.lr_multiples",
        ),
        (PARENTS + POST.replace("rates: {4k: [0.1, 0.2],", "rates: {4: [0.1],"), "studies.post_training.rates"),
        (PARENTS + POST.replace("4k: [0.1, 0.2]", "4k: []"), "studies.post_training.rates"),
        (
            PARENTS + POST.replace('[{method: depth-taylor}, {method: wanda, structure: "2:4"}]', "[]"),
            "studies.post_training.methods",
        ),
        (PARENTS + POST + "  controls: {sizes: [k]}\n", "studies.post_training.controls.sizes"),
        (PARENTS + POST + "  controls: {random: [wanda]}\n", "studies.post_training.controls.random"),
        (PARENTS + POST + "  controls: {scratch: [wanda]}\n", "studies.post_training.controls.scratch"),
        (PARENTS + POST.replace("tokens: 20000", "tokens: 20"), "studies.post_training.tokens"),
    ],
)
def test_a_study_that_cannot_be_is_refused(studies: str, key: str, sweep_file: Sweeps) -> None:
    with pytest.raises(UserError) as caught:
        expand(sweep_file(studies=studies))
    assert caught.value.key == key
