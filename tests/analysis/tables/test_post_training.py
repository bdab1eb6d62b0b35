"""Curves of training after pruning as rows: what each is for, and what its laws read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.tables.data import Runs, Tables, has_post_training
from analysis.tables.post_training import curve_points, dense_points, published
from analysis.worlds import simulated_post_training as simulated
from repro import studies


@pytest.fixture(scope="module")
def tables() -> Tables:
    return simulated.design()


def with_column(tables: Tables, name: str, values: np.ndarray) -> Tables:
    runs = Runs({**tables.runs.columns, name: values})
    return replace(tables, runs=runs, all_runs=runs)


def test_every_curve_has_its_role(tables: Tables) -> None:
    points = curve_points(tables)
    role = {run_id: str(points["role"][own[0]]) for run_id, own in points.curves.items()}
    assert role["36k-seed1-width-taylor-23"] == "pruned"
    assert role["120k-seed0-depth-taylor-0"] == "control"
    assert role["36k-seed0-random-width-23"] == "random"
    assert role["36k-sparsegpt-decayed"] == "decayed"
    assert role["36k-seed0-sparsegpt-23-at1024000"] == "aged"
    assert points.methods == ("depth-taylor", "sparsegpt N:M", "width-taylor")
    assert len(points.of("pruned", "depth-taylor").curves) == 15


def test_what_a_user_sets_apart_in_the_study_controls_is_not_judged(tables: Tables) -> None:
    chosen = tables.runs["run_id"] == "36k-seed1-width-taylor-23"
    moved = tables.runs["studies"].copy()
    moved[np.flatnonzero(chosen)[0]] = (studies.POST_TRAINING, studies.CONTROLS)
    points = curve_points(with_column(tables, "studies", moved))
    assert set(points["role"][points["run_id"] == "36k-seed1-width-taylor-23"]) == {"other"}


def test_a_point_knows_rate_sizes_and_its_whole_life(tables: Tables) -> None:
    points = curve_points(tables)
    own = points.where(points.curves["120k-seed0-depth-taylor-41"])
    total, prunable = simulated.SIZES["120k"].total, simulated.SIZES["120k"].prunable
    assert set(own["rank"]) == {2}
    np.testing.assert_allclose(own["N1"], total * 0.59)
    assert np.all(np.diff(own["D"]) > 0)
    assert own["D"][0] > 0
    after = prunable - 0.41 * total
    for tokens, average in zip(own["D"], own["N_avg"], strict=True):
        expected = (prunable * simulated.TOKENS + after * tokens) / (simulated.TOKENS + tokens)
        assert average == pytest.approx(expected, rel=1e-12)


def test_the_row_at_no_tokens_is_published_and_not_among_the_points(tables: Tables) -> None:
    points = curve_points(tables)
    rows = list(published(points))
    first = [row for row in rows if row["D"] == 0]
    assert len(first) == len(points.curves)
    assert len(rows) == len(points) + len(first)
    assert all(row["loss"] == row["L_parent"] for row in first)


def test_dense_losses_are_those_at_the_peak_rate_and_after_the_beginning(tables: Tables) -> None:
    dense = dense_points(tables)
    controls = [run_id for run_id in set(dense["run_id"]) if run_id.endswith("-0")]
    assert len(controls) == 5
    assert not any("taylor-1" in run_id or "random" in run_id for run_id in set(dense["run_id"]))
    own = dense.where(dense["run_id"] == "12k-seed0-depth-taylor-0")
    assert own["D"].min() > simulated.TOKENS
    decaying = with_column(tables, "lr_schedule", np.array(["cosine"] * len(tables.runs), dtype=object))
    assert len(dense_points(decaying)) == 0
    assert curve_points(decaying).methods == ()


def test_a_sweep_without_the_study_has_none(tables: Tables) -> None:
    parents = tables.runs.where(~tables.runs.serves(studies.POST_TRAINING))
    assert has_post_training(tables)
    assert not has_post_training(replace(tables, runs=parents))


def test_dense_losses_of_decaying_parents_are_their_last_where_pruned_models_go_on_at_that_rate(tables: Tables) -> None:
    pruned = np.array([name is not None for name in tables.runs["surgery"]], dtype=bool)
    decayed = np.where(pruned, tables.runs["lr_schedule"], "cosine").astype(object)
    low = with_column(with_column(tables, "lr_schedule", decayed), "lr", tables.runs["lr"] * np.where(pruned, 0.1, 1.0))
    dense = dense_points(low)
    own = dense.where(dense["run_id"] == "12k-seed0")
    assert list(own["D"]) == [simulated.TOKENS]
    assert "12k-seed0" not in set(dense_points(with_column(tables, "lr_schedule", decayed))["run_id"])


def test_a_learning_rate_that_was_tried_is_not_judged(tables: Tables) -> None:
    points = curve_points(tables)
    assert set(points["role"][points["run_id"] == "36k-seed0-depth-taylor-23-lr3"]) == {"tried"}


def test_points_of_the_warm_up_are_none(tables: Tables) -> None:
    first = curve_points(tables)["D"].min()
    steps = float(first / (simulated.BATCH * simulated.SEQUENCE))
    longer = with_column(tables, "warmup", np.full(len(tables.runs), steps))
    assert curve_points(longer)["D"].min() > first


def test_public_parents_have_no_tokens_of_ours_before(tables: Tables) -> None:
    """What a model folder was trained on before isn't known and not counted."""
    alone = with_column(
        with_column(tables, "D_life", tables.runs["D"].copy()), "N_avg_life", tables.runs["N_avg"].copy()
    )
    points = curve_points(alone)
    assert len(points.of("pruned", "depth-taylor").curves) == 16  # no parent is of another age
    assert set(points["D0"]) == {0.0}
    np.testing.assert_allclose(points["D_life"], points["D"])
