"""The runs of study `growth`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from repro.errors import UserError
from repro.spec import RunSpec
from sweeps.grid import expand
from sweeps.plan import plan
from tests.sweeps.small import write

Sweeps = Callable[..., Path]
GROWTH = "growth: {sizes: [13k], budgets: [20tpp], share: 0.25, seeds: [0, 1]"
METHODS = ("grow-inner", "grow-inner-noise", "grow-depth-zero", "grow-depth-stack")


@pytest.fixture
def sweep_file(tmp_path: Path) -> Sweeps:
    return partial(
        write,
        tmp_path,
        rates="{tokens_per_param: 20, params: -0.86}",
        partners="{mlp_multiple: 1, tolerance: 0.01}",
    )


def runs_of(file: Path) -> dict[str, RunSpec]:
    return {spec.run_id: spec for spec in expand(file).of("growth")}


def test_every_operator_grows_one_parent_into_equally_many_weights_at_one_n_of_t(sweep_file: Sweeps) -> None:
    runs = runs_of(sweep_file(studies=GROWTH + "}"))
    assert len(runs) == 2 * (1 + 4 + 1 + 3 + 1)
    for seed in (0, 1):
        small, parent = runs[f"13k-20tpp-s00-seed{seed}"], runs[f"13k-20tpp-first25-seed{seed}"]
        steps = round(0.25 * small.schedule.total_steps)
        assert parent.schedule.total_steps == steps
        rates = [parent.optimizer.lr_at(step, parent.schedule) for step in range(steps)]
        assert rates[-1] == small.optimizer.lr, "it hasn't decayed when it grows"
        children = [runs[f"13k-{method}-x2-20tpp-after25-seed{seed}"] for method in METHODS]
        assert {child.parent for child in children} == {parent}
        assert {child.seed for child in children} == {seed}
        assert {child.starts_at_the_end for child in children} == {True}
        assert {child.life.tokens for child in children} == {small.tokens}
        assert len({(child.model.shape.prunable, child.life.n_avg, child.optimizer.lr) for child in children}) == 1
        assert [child.surgery.seed for child in children if child.surgery] == [None, seed, None, None]
        before, after = small.model.shape.prunable, children[0].model.shape.prunable
        share = steps / small.schedule.total_steps
        assert children[0].life.n_avg == pytest.approx(share * before + (1 - share) * after)
        assert children[0].optimizer.lr == float(f"{small.optimizer.lr * (after / before) ** -0.86:.3g}")


def test_controls_see_all_tokens_and_one_is_the_restart_alone(sweep_file: Sweeps) -> None:
    runs = runs_of(sweep_file(studies=GROWTH + "}"))
    child = runs["13k-grow-depth-zero-x2-20tpp-after25-seed1"]
    wide, deep = (runs[f"13k-{method}-x2-scratch-20tpp-s00-seed1"] for method in ("grow-inner", "grow-depth-zero"))
    assert (wide.model.layers, deep.model.layers) == (2, 4)
    assert deep.model == child.model
    life = runs["13k-x2-life-20tpp-s00-seed1"]
    assert life.model.shape.prunable == pytest.approx(child.life.n_avg, rel=0.01)
    for control in (wide, deep, life):
        assert (control.start, control.tokens, control.seed) == (None, child.life.tokens, 1)
    assert deep.optimizer.lr == child.optimizer.lr < life.optimizer.lr
    ungrown = runs["13k-ungrown-20tpp-after25-seed1"]
    assert (ungrown.parent, ungrown.model) == (child.parent, child.parent.model if child.parent else None)
    assert ungrown.tokens == child.tokens
    assert ungrown.optimizer.lr == runs["13k-20tpp-s00-seed1"].optimizer.lr


def test_controls_can_be_left_out_and_rates_tried(sweep_file: Sweeps) -> None:
    some = ", operators: [grow-width], ungrown: false, scratch: false, partners: false, lr_multiples: [0.5, 2]}"
    runs = runs_of(sweep_file(studies=GROWTH.replace("[0, 1]", "[0]") + some))
    assert len(runs) == 1 + 3
    rates = sorted(spec.optimizer.lr for spec in runs.values() if spec.surgery)
    assert rates == pytest.approx([rates[1] / 2, rates[1], rates[1] * 2])


def test_the_plan_prices_what_each_becomes(sweep_file: Sweeps) -> None:
    sweep = expand(sweep_file(studies=GROWTH + "}"))
    priced = plan(sweep)
    flops = {run_id: one.executed_flops for run_id, one in priced.runs.items()}
    assert flops["13k-grow-inner-x2-20tpp-after25-seed0"] > 1.5 * flops["13k-ungrown-20tpp-after25-seed0"]
    assert priced.starts["13k-grow-inner-x2-20tpp-after25-seed0"].parent == "13k-20tpp-first25-seed0"


@pytest.mark.parametrize(
    ("changed", "key", "message"),
    [
        ("operators: [grow-width, grow-depth-zero]", "operators", "different numbers of weights"),
        ("operators: [wanda]", "operators", "no such growth"),
        ("operators: []", "operators", "no operators"),
        ("sizes: []", "sizes", "no sizes"),
        ("share: 1", "share", "out of range"),
        ("share: 0.0001", "share", "no step"),
        ("factor: 1", "factor", "out of range"),
        ("operators: [grow-inner], factor: 3", "factor", "gives no possible model"),
    ],
)
def test_a_study_that_cannot_be_is_refused(changed: str, key: str, message: str, sweep_file: Sweeps) -> None:
    study = yaml.safe_load("{sizes: [13k], budgets: [20tpp]}") | yaml.safe_load("{" + changed + "}")
    file = sweep_file(studies=yaml.safe_dump({"growth": study}))
    with pytest.raises(UserError, match=message) as caught:
        expand(file)
    assert str(caught.value.key).endswith(key)
