"""One declaration for each column: the plan and the table agree, and no choice of a spec is in none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from repro import columns
from repro.column import Part
from repro.spec import CalibrationSpec, ModelStart, MovesSpec, RopeScaling, RunSpec, SurgerySpec, from_kept
from repro.spec.identity import canonical
from tests.repro.rows import trained

Make = Callable[..., RunSpec]
CHOICES: tuple[Part, ...] = ("size", "setting", "window")
# A value other than the default of each field of a spec that bears identity; what else has to change with it.
OTHER: dict[str, dict[str, Any]] = {
    "model": {
        "d_model": 16, "layers": 3, "heads": 2, "mlp": 40, "vocab": 310, "sequence": 16, "init": "transformers",
        "norm_eps": 1e-6, "rope_base": 5e5, "rope_scaling": RopeScaling(8.0, 1.0, 4.0, 32), "kv_heads": 1, "head_dim": 6,
        "tied": True, "biases": "qkv",
    },
    "optimizer": {
        "lr": 1e-2, "batch": 8, "beta1": 0.8, "beta2": 0.99, "eps": 1e-7, "weight_decay": 0.0, "clip": 0.5, "warmup": 4.0,
        "final_lr": 0.0, "lr_schedule": "wsd", "decay": 0.1,
    },
    "pruning": {
        "sparsity": 0.5, "start": 0.5, "end": 1.0, "interval": 5, "shape": "linear", "score": "random",
        "distribution": "uniform", "structure": "1:5", "do_not_prune": ("q_proj",),
        "scope": ("layers.1",), "mirror": True, "teeth": 2, "pieces": ((0, 0.2), (0.5, 0.4)), "choose": "gradient", "fill": "draw",
        "moves": MovesSpec(4),
    },
}  # fmt: skip


@pytest.mark.parametrize("sparsity", [0, 0.8])
def test_a_run_that_went_as_planned_has_the_row_that_was_planned(sparsity: float, make_spec: Make) -> None:
    spec = make_spec(sparsity)
    known, row = columns.planned(spec), columns.row(trained(spec))
    assert known.pop("epochs") is None  # the sweep file doesn't say how large its corpus is
    assert row["epochs"] == spec.tokens / 10**6
    assert {name: row[name] for name in known} == known
    assert set(row) == {column.name for column in columns.COLUMNS} > set(known)
    window = [row[name] for name in ("start", "end", "start_step", "end_step", "interval")]
    assert (window == [None] * 5) == (sparsity == 0)


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, own in OTHER.items() for name in own])
def test_a_field_of_a_spec_is_in_a_column_and_makes_another_recipe(part: str, name: str, make_spec: Make) -> None:
    spec = make_spec(shape="geometric")
    if name == "decay":
        spec = replace(spec, optimizer=replace(spec.optimizer, lr_schedule="wsd"))
    if name == "structure":
        spec = replace(spec, model=replace(spec.model, d_model=10, mlp=40))
    if name == "scope":
        spec = replace(spec, pruning=replace(spec.pruning, sparsity=0.2))
    if name in ("choose", "fill"):
        spec = replace(spec, pruning=replace(spec.pruning, mirror=True))
    if name == "moves":
        spec = replace(spec, pruning=replace(spec.pruning, shape="constant"))
    if name == "teeth":
        spec = replace(spec, pruning=replace(spec.pruning, shape="saw_tooth"))
    if name == "pieces":
        spec = replace(spec, pruning=replace(spec.pruning, shape="pieces", pieces=((0, 0.2), (0.5, 1))))
    if name == "kv_heads":
        spec = replace(spec, model=replace(spec.model, heads=2))
    other = replace(spec, **{part: replace(getattr(spec, part), **{name: OTHER[part][name]})})
    assert other.recipe != spec.recipe
    mine, theirs = columns.planned(spec), columns.planned(other)
    assert any(mine[key] != theirs[key] for key in columns.names(*CHOICES) if key in mine)


@pytest.mark.parametrize("part", OTHER)
def test_no_field_is_missing_from_the_test_above(part: str, make_spec: Make) -> None:
    assert set(OTHER[part]) == {field.name for field in fields(getattr(make_spec(), part))}


@pytest.mark.parametrize(
    ("changed", "same_recipe"),
    [
        ({"method": "random-width"}, False),
        ({"rate": 0.25}, False),
        ({"rate": 0.0}, False),
        ({"seed": 1}, True),
        ({"method": "width-taylor", "seed": None, "calibration": CalibrationSpec(4, 8)}, False),
        ({"method": "magnitude", "seed": None, "structure": "2:4"}, False),
    ],
)
def test_surgery_is_in_columns_and_in_the_identity(changed: dict[str, Any], same_recipe: bool, make_spec: Make) -> None:
    parent = make_spec(0.0)
    parent = replace(parent, model=replace(parent.model, layers=4))
    one = SurgerySpec("random-depth", 0.12, seed=0)
    mine, theirs = (
        replace(parent, run_id="child").starting_from(parent, 40, each) for each in (one, replace(one, **changed))
    )
    assert mine.fingerprint != theirs.fingerprint
    assert (mine.recipe == theirs.recipe) == same_recipe
    assert from_kept(theirs.to_dict()) == theirs
    said = columns.planned(theirs)
    names = [name for name in said if name.startswith("surgery")]
    assert {name: columns.planned(mine)[name] for name in names} != {name: said[name] for name in names}
    assert said["rho"] == pytest.approx(
        1 - (said["N_total"] - said["N_prunable"] + said["N_final"]) / parent.model.shape.total
    )
    assert columns.planned(parent)["rho"] is None


def test_growth_has_a_factor_and_no_share_that_went(make_spec: Make) -> None:
    parent = make_spec(0.0)
    one = SurgerySpec("grow-width-noise", factor=2)
    grown, again, stacked = (
        replace(parent, run_id="child").starting_from(parent, 40, surgery)
        for surgery in (one, replace(one, seed=1), SurgerySpec("grow-depth-stack", factor=2))
    )
    assert from_kept(grown.to_dict()) == grown
    assert (grown.recipe == again.recipe, grown.fingerprint == again.fingerprint) == (True, False)
    assert stacked.recipe != grown.recipe
    said = columns.planned(grown)
    assert (said["surgery"], said["surgery_factor"], said["surgery_seed"]) == ("grow-width-noise", 2, 0)
    assert (said["rho"], said["rho_linear"], said["surgery_rate"]) == (None, None, None)
    assert said["N_total_before"] == parent.model.shape.total < said["N_total"] == grown.model.shape.total
    before, own = 40 * parent.tokens_per_step, grown.tokens
    assert said["N_avg_life"] == pytest.approx(
        (parent.model.shape.prunable * before + said["N_prunable"] * own) / (before + own)
    )
    assert "factor" not in canonical(SurgerySpec("random-depth", 0.12)), "old fingerprints stay"


def test_a_recipe_is_the_spec_without_its_seed_and_labels(make_spec: Make) -> None:
    spec = make_spec()
    again = replace(spec, seed=7, run_id="other", size="1b", budget="long")
    assert (again.recipe, again.fingerprint == spec.fingerprint) == (spec.recipe, False)
    started = replace(spec, start=ModelStart("0" * 64, "here"))
    assert started.recipe != spec.recipe
    assert columns.planned(started)["start_sha256"] == "0" * 64
    assert columns.planned(replace(started, start=ModelStart("0" * 64, "there")))["recipe"] == started.recipe
