from __future__ import annotations

from collections.abc import Callable

import pytest

from analysis.claims import Verdict, failure_modes
from analysis.findings.evidence import Evidence
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]


def verdict(tables: Tables) -> Verdict:
    return failure_modes.judge(Evidence(tables, resamples=100))


def late_hurts(sparsity: float, start: float, end: float) -> float:
    return 0.2 * sparsity**2 * max(0.0, end - 0.75) / 0.25


def late_helps(sparsity: float, start: float, end: float) -> float:
    return -3 * late_hurts(sparsity, start, end)


def test_a_world_in_which_late_pruning_hurts_high_sparsity_reproduces_it(swept: Make) -> None:
    found = verdict(swept(truth=Truth(sigma=0.002, penalty=late_hurts)))
    assert found.verdict == "reproduced"
    # At 80% the penalty is .128; its mean at 20 and 40% is .02. The law itself adds what N_avg and D differ by.
    assert found.measured == pytest.approx(0.128 - 0.02, abs=0.04)


def test_a_world_in_which_it_helps_refutes_it(swept: Make) -> None:
    assert verdict(swept(truth=Truth(sigma=0.002, penalty=late_helps))).verdict == "not reproduced"


def test_noise_makes_it_inconclusive(swept: Make) -> None:
    assert verdict(swept(truth=Truth(sigma=0.2))).verdict == "inconclusive"


def test_contrasts_average_over_budgets_and_seeds(swept: Make) -> None:
    one, two = verdict(swept(truth=Truth(sigma=0.01))), verdict(swept(truth=Truth(sigma=0.01), fresh_grid_seeds=1))
    assert one.interval is not None
    assert two.interval is not None
    assert [r["family"] for r in one.details[0].rows] == ["all", "all", "25k 10t", "25k 10t", "25k 20t", "25k 20t"]
    assert two.interval[1] - two.interval[0] < 0.85 * (one.interval[1] - one.interval[0])


def test_without_the_runs_there_is_a_reason(swept: Make) -> None:
    assert (
        "doesn't hold"
        in verdict(swept([r for r in simulated_sweep.simulate(Truth()) if not r["sparsity"] or r["end"] < 1])).because
    )
