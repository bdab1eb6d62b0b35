from __future__ import annotations

from collections.abc import Callable

import pytest
from scipy import stats

from analysis.claims import Verdict, pairs
from analysis.findings.evidence import Evidence
from analysis.laws.law import Law
from analysis.laws.registry import N_DENSE, N_FINAL
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]


def verdict(tables: Tables) -> Verdict:
    return pairs.judge(Evidence(tables, resamples=100))


def test_runs_that_obey_the_average_law_reproduce_the_claim(evidence: Evidence) -> None:
    found = pairs.judge(evidence)
    assert found.verdict == "reproduced"
    assert found.interval is not None
    assert found.interval[0] < 1 < found.interval[1]


@pytest.mark.parametrize(("law", "side"), [(N_FINAL, "worse"), pytest.param(N_DENSE, "better", marks=pytest.mark.full)])
def test_sparse_runs_worse_or_better_than_their_partners_refute_it(law: Law, side: str, swept: Make) -> None:
    found = verdict(swept(truth=Truth(law=law)))
    assert found.verdict == "not reproduced"
    assert found.measured is not None
    assert (found.measured < pairs.LOW) if side == "worse" else (found.measured > pairs.HIGH)


def test_gains_at_one_sparsity_dont_cancel_losses_at_another(swept: Make) -> None:
    found = verdict(
        swept(truth=Truth(sigma=0.001, penalty=lambda sparsity, start, end: 0.15 if sparsity == 0.8 else -0.05))
    )
    assert found.verdict == "not reproduced"


def test_noise_makes_it_inconclusive(swept: Make) -> None:
    assert verdict(swept(truth=Truth(sigma=0.1))).verdict == "inconclusive"


def test_one_seed_of_each_pair_borrows_the_noise_of_other_runs(swept: Make) -> None:
    rows = simulated_sweep.simulate(Truth(sigma=0.001))
    found = verdict(swept([r for r in rows if r["seed"] == 0 or (not r["sparsity"] and "pairs" not in r["studies"])]))
    assert found.interval is not None
    assert any("two independent runs" in note for note in found.notes)


def test_missing_sparsities_leave_it_open(swept: Make) -> None:
    rows = simulated_sweep.simulate(Truth(sigma=0.001))
    found = verdict(swept([r for r in rows if r["size"] != "25k-p60"]))
    assert found.verdict == "inconclusive"
    assert "sparsities" in found.because


def test_no_pair_is_a_reason_and_not_a_crash(swept: Make) -> None:
    found = verdict(swept([r for r in simulated_sweep.simulate(Truth()) if "-" not in r["size"]]))
    assert (found.verdict, found.measured, found.details) == ("inconclusive", None, ())


def test_without_a_dense_law_the_difference_in_nats_remains(swept: Make) -> None:
    rows = [
        r
        for r in simulated_sweep.simulate(Truth())
        if r["size"] in ("25k", "25k-p80") and (r["sparsity"] == 0.8 or "-" in r["size"])
    ]
    found = verdict(swept(rows))
    assert (found.verdict, found.measured) == ("inconclusive", None)
    assert found.details[0].rows[0]["difference"] is not None


@pytest.mark.full
def test_the_pooled_ratios_interval_holds_the_truth_in_95_percent_of_drawn_sweeps(swept: Make) -> None:
    """In a world of the average law a sparse run is worth exactly its N_avg."""
    sweeps, held = 200, 0
    for seed in range(sweeps):
        found = verdict(swept(simulated_sweep.simulate(Truth(), seed=seed)))
        assert found.interval is not None
        held += found.interval[0] <= 1 <= found.interval[1]
    low, high = stats.binom.interval(0.99, sweeps, 0.95)
    assert low <= held <= high, held / sweeps
