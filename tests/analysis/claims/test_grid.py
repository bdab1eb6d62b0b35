from __future__ import annotations

from collections.abc import Callable

import pytest

from analysis.claims import Verdict, grid
from analysis.findings.evidence import Evidence
from analysis.laws.registry import N_FINAL
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]


def verdict(tables: Tables) -> Verdict:
    return grid.judge(Evidence(tables, resamples=200))


def late_hurts(sparsity: float, start: float, end: float) -> float:
    return 0.1 if end > 0.9 else 0.0


def test_a_law_that_holds_everywhere_is_reproduced(swept: Make) -> None:
    found = verdict(swept(truth=Truth(sigma=0.001)))
    assert found.verdict == "reproduced"
    assert len(found.details[0].rows) == 36  # ten schedules but 25/50/25 itself, at four sparsities


def test_where_it_leaves_the_margin_is_named(swept: Make) -> None:
    found = verdict(swept(truth=Truth(sigma=0.001, penalty=late_hurts)))
    assert found.verdict == "not reproduced"
    assert "16 of 36 cells, 16 of them with pruning past 75%" in found.because


@pytest.mark.full
def test_noise_makes_it_inconclusive(swept: Make) -> None:
    assert verdict(swept(truth=Truth(sigma=0.05))).verdict == "inconclusive"


def test_drift_along_sparsity_is_seen_where_the_wrong_count_is_fitted(swept: Make) -> None:
    drifts = {(r["law"], r["setting"]): r for r in verdict(swept(truth=Truth(sigma=0.001))).details[1].rows}
    right, wrong = drifts["N_avg", "dense to sparse"], drifts["N_final", "dense to sparse"]
    assert abs(right["sparsity"]) < 0.005
    assert (
        wrong["sparsity: low"] > 0.02
    )  # read with the final count, dense runs predict too high a loss for sparse ones


def iso(tables: Tables) -> list[dict]:
    return list(grid.iso_average(Evidence(tables)))


def test_runs_of_equal_average_count_end_at_one_loss_if_the_law_holds(swept: Make) -> None:
    rows = iso(swept())
    assert {r["schedule"] for r in rows} == {"50/25/25", "50/50/0", "75/25/0"}
    assert len(rows) == 6
    assert all(r["p of such a spread by luck"] > 0.001 for r in rows)
    assert all(r["p of such a spread by luck"] < 1e-6 for r in iso(swept(truth=Truth(law=N_FINAL))))


@pytest.mark.full
def test_without_a_grid_or_seeds_there_is_a_reason(swept: Make) -> None:
    rows = simulated_sweep.simulate(Truth())
    assert verdict(swept([r for r in rows if "schedules" not in r["studies"]])).verdict == "inconclusive"
    assert "no interval" in verdict(swept([r for r in rows if r["seed"] == 0])).because
