from __future__ import annotations

from collections.abc import Callable

import pytest

from analysis.claims import Verdict, grid
from analysis.findings.evidence import Evidence
from analysis.laws.registry import N_FINAL
from analysis.tables import data
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro.store.folder import Folder

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]


def verdict(tables: Tables) -> Verdict:
    return grid.judge(Evidence(tables, resamples=100))


@pytest.fixture(scope="module")
def true(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    """Of a sweep with little noise in which the law holds everywhere."""
    folder = Folder.open(tmp_path_factory.mktemp("true"))
    simulated_sweep.write(folder, simulated_sweep.simulate(Truth(sigma=0.001)))
    return verdict(data.load(folder))


def late_hurts(sparsity: float, start: float, end: float) -> float:
    return 0.1 if end > 0.9 else 0.0


def test_a_law_that_holds_everywhere_is_reproduced(true: Verdict) -> None:
    assert true.verdict == "reproduced"
    assert len(true.details[0].rows) == 36  # ten schedules but 25/50/25 itself, at four sparsities


def test_where_it_leaves_the_margin_is_named(swept: Make) -> None:
    outcome, because = grid.rule(Evidence(swept(truth=Truth(sigma=0.001, penalty=late_hurts)), resamples=100))
    assert outcome == "not reproduced"
    assert "16 of 36 cells, 16 of them with pruning past 75%" in because


@pytest.mark.full
def test_noise_makes_it_inconclusive(swept: Make) -> None:
    assert verdict(swept(truth=Truth(sigma=0.05))).verdict == "inconclusive"


def test_drift_along_sparsity_is_seen_where_the_wrong_count_is_fitted(true: Verdict) -> None:
    drifts = {(r["law"], r["setting"]): r for r in true.details[1].rows}
    right, wrong = drifts["N_avg", "dense to sparse"], drifts["N_final", "dense to sparse"]
    assert abs(right["sparsity"]) < 0.005
    assert (
        wrong["sparsity: low"] > 0.02
    )  # read with the final count, dense runs predict too high a loss for sparse ones


def test_runs_of_equal_average_count_end_at_one_loss_if_the_law_holds(evidence: Evidence, swept: Make) -> None:
    rows = [*grid.iso_average(evidence)]
    assert {r["schedule"] for r in rows} == {"50/25/25", "50/50/0", "75/25/0"}
    assert len(rows) == 6
    assert all(r["p of such a spread by luck"] > 0.001 for r in rows)
    assert all(
        r["p of such a spread by luck"] < 1e-6 for r in grid.iso_average(Evidence(swept(truth=Truth(law=N_FINAL))))
    )


@pytest.mark.full
def test_without_a_grid_or_seeds_there_is_a_reason(swept: Make) -> None:
    rows = simulated_sweep.simulate(Truth())
    assert verdict(swept([r for r in rows if "schedules" not in r["studies"]])).verdict == "inconclusive"
    assert "no interval" in verdict(swept([r for r in rows if r["seed"] == 0])).because
