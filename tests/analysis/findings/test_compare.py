from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.findings.compare import DENSE_TO_GRID, DENSE_TO_SPARSE, IN_SAMPLE, LAW_TO_GRID, Comparison, compare
from analysis.findings.evidence import Evidence
from analysis.laws.law import Law
from analysis.laws.registry import N_AVG, N_DENSE, N_EFFECTIVE, N_FINAL, SPARSE
from analysis.noise.spread import measure
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow


def held_against(tables: Tables) -> Comparison:
    return compare(tables, measure(tables.runs).overall, resamples=200)


@pytest.fixture(scope="module")
def true(evidence: Evidence) -> Comparison:
    """Of a sweep that obeys the law in N_avg."""
    return held_against(evidence.tables)


@pytest.mark.parametrize(
    "law", [N_AVG, N_FINAL, pytest.param(N_DENSE, marks=pytest.mark.full)], ids=lambda law: law.name
)
def test_the_law_that_made_the_runs_wins_in_every_setting(law: Law, true: Comparison, swept) -> None:
    settings = (true if law is N_AVG else held_against(swept(truth=Truth(law=law)))).settings
    for name in (IN_SAMPLE, DENSE_TO_SPARSE, DENSE_TO_GRID, LAW_TO_GRID):
        errors = settings[name].errors
        for rival in {N_AVG.name, N_FINAL.name, N_DENSE.name} - {law.name}:
            margin = errors[rival].worse_than(errors[law.name])
            assert margin.low is not None
            assert margin.low > 0


def test_the_law_set_alone_cant_tell_the_average_count_from_an_effective_one_but_the_grid_can(
    true: Comparison,
) -> None:
    settings = true.settings
    close, far = (settings[name].errors[N_EFFECTIVE.name] for name in (IN_SAMPLE, LAW_TO_GRID))
    assert close.mean_abs().value < 0.01
    assert far.mean_abs().value > 0.04


def test_errors_of_a_true_law_are_what_its_noise_alone_explains(true: Comparison) -> None:
    luck = true.luck[N_AVG.name]
    error = true.settings[IN_SAMPLE].errors[N_AVG.name].mean_abs()
    assert luck.low is not None
    assert luck.high is not None
    assert luck.low < error.value < luck.high
    assert true.settings[IN_SAMPLE].errors[N_FINAL.name].mean_abs().value > 5 * luck.high


def test_runs_the_law_was_fitted_on_are_not_held_out(true: Comparison, evidence: Evidence) -> None:
    judged = true.settings[LAW_TO_GRID].errors[N_AVG.name].runs
    assert len(judged) == 72
    assert not set(judged["run_id"]) & set(evidence.tables.law_set["run_id"])


def test_without_seeds_there_are_errors_but_no_intervals(swept) -> None:
    comparison = held_against(swept([r for r in simulated_sweep.simulate(Truth()) if r["seed"] == 0]))
    measure_ = comparison.settings[IN_SAMPLE].errors[N_AVG.name].mean_abs()
    assert measure_.value > 0
    assert (measure_.low, measure_.high) == (None, None)
    assert comparison.luck == {}


def test_a_law_that_cant_be_fitted_is_named_and_the_others_go_on(swept) -> None:
    comparison = held_against(swept([r for r in simulated_sweep.simulate(Truth()) if r["size"] != "8k"]))
    assert set(comparison.law_fits) == {N_AVG.name, N_FINAL.name, SPARSE.name}
    assert comparison.obstacles[N_DENSE.name] == "N_prunable takes fewer than three values"
    assert N_EFFECTIVE.name not in comparison.settings[DENSE_TO_SPARSE].errors


def test_too_few_runs_leave_every_setting_with_a_reason(swept) -> None:
    comparison = held_against(swept(simulated_sweep.simulate(Truth())[:2]))
    assert comparison.dense_fit is None
    assert all(setting.reason and not setting.errors for setting in comparison.settings.values())


def test_the_bootstrap_is_the_same_every_time(true: Comparison, evidence: Evidence) -> None:
    first, again = (found.settings[IN_SAMPLE].errors for found in (true, held_against(evidence.tables)))
    assert all(first[name].mean_abs() == again[name].mean_abs() for name in first)


def test_errors_on_different_runs_are_not_compared(true: Comparison) -> None:
    settings = true.settings
    with pytest.raises(ValueError, match="different runs"):
        settings[IN_SAMPLE].errors[N_AVG.name].worse_than(settings[LAW_TO_GRID].errors[N_AVG.name])


def test_intervals_lie_around_what_was_measured(true: Comparison) -> None:
    for setting in true.settings.values():
        for errors in setting.errors.values():
            measured = errors.mean_abs()
            assert measured.low is not None
            assert measured.high is not None
            assert measured.low < measured.value < measured.high
            assert np.isclose(measured.value, np.abs(errors.residual).mean())


@pytest.mark.parametrize("seeds", [2, pytest.param(3, marks=pytest.mark.full)])
def test_few_degrees_of_freedom_widen_an_interval_and_never_move_it_off_its_value(seeds: int, swept) -> None:
    rows = [r for r in simulated_sweep.simulate(Truth(), seeds=seeds) if not r["sparsity"] or r["seed"] == 0]
    tables = swept(rows)
    noise = measure(tables.runs)
    assert noise.overall is not None
    found = compare(tables, replace(noise.overall, dof=2), resamples=500)
    for setting in found.settings.values():
        for errors in setting.errors.values():
            error = errors.mean_abs()
            assert error.low is not None
            assert error.high is not None
            assert error.low <= error.value <= error.high < 10
    assert found.luck[N_AVG.name].value < 1
