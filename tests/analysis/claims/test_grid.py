from __future__ import annotations

from collections.abc import Callable

from analysis import simulate
from analysis.claims import Verdict, grid
from analysis.data import Tables
from analysis.evidence import gather
from analysis.simulate import Truth

Make = Callable[..., Tables]


def verdict(tables: Tables) -> Verdict:
    return grid.judge(gather(tables, resamples=200))


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


def test_noise_makes_it_inconclusive(swept: Make) -> None:
    assert verdict(swept(truth=Truth(sigma=0.05))).verdict == "inconclusive"


def test_drift_along_sparsity_is_seen_where_the_wrong_count_is_fitted(swept: Make) -> None:
    drifts = {(r["law"], r["setting"]): r for r in verdict(swept(truth=Truth(sigma=0.001))).details[1].rows}
    right, wrong = drifts["N_avg", "dense to sparse"], drifts["N_final", "dense to sparse"]
    assert abs(right["sparsity"]) < 0.005
    assert (
        wrong["sparsity: low"] > 0.02
    )  # read with the final count, dense runs predict too high a loss for sparse ones


def test_iso_average_runs_stand_beside_each_other(swept: Make) -> None:
    iso = next(d for d in verdict(swept()).details if d.title.startswith("Iso-average"))
    assert {r["schedule"] for r in iso.rows} == {"50/25/25", "50/50/0", "75/25/0"}


def test_without_a_grid_or_seeds_there_is_a_reason(swept: Make) -> None:
    rows = simulate.simulate(Truth())
    assert verdict(swept([r for r in rows if "schedules" not in r["studies"]])).verdict == "inconclusive"
    assert "no interval" in verdict(swept([r for r in rows if r["seed"] == 0])).because
