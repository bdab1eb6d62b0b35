"""Evidence with holes: every verdict stays finite or says that it can't be one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analysis import claims
from analysis.claims import Verdict
from analysis.findings.compare import DENSE_TO_SPARSE
from analysis.findings.evidence import Evidence
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]
Rows = list[dict[str, Any]]


def judged(tables: Tables) -> tuple[Verdict, ...]:
    return claims.judge(Evidence(tables, resamples=100))


def same_over_seeds(rows: Rows) -> Rows:
    """A seed that does nothing: the losses of a configuration agree to single precision."""
    for row in rows:
        row["loss"] = float(np.float32(row["loss"]))
    by_id = {row["run_id"]: row for row in rows}
    for row in rows:
        first = by_id.get(row["run_id"].replace(f"seed{row['seed']}", "seed0"))
        row["loss"] = first["loss"] * (1 + 1e-7 * row["seed"]) if first else row["loss"]
    return rows


def two_seeds_of_one_run(rows: Rows) -> Rows:
    """One degree of freedom, which is none to speak of."""
    return [r for r in rows if r["seed"] == 0 or (r["seed"] == 1 and r["sparsity"] == 0.8 and r["size"] == "25k")]


def a_failed_size(rows: Rows) -> Rows:
    for row in rows:
        row["loss"] = float("nan") if row["size"] == "8k" else row["loss"]
    return rows


def a_cell_of_failed_runs(rows: Rows) -> Rows:
    for row in rows:
        if (row["budget"], row["sparsity"]) == ("20t", 0.8):
            row["loss"] = float("inf") if row["start"] else 0.0
    return rows


def one_seed(rows: Rows) -> Rows:
    return [r for r in rows if r["seed"] == 0]


OTHERS = (a_failed_size, two_seeds_of_one_run, one_seed, a_cell_of_failed_runs)
SPOILED = [same_over_seeds, *(pytest.param(spoil, marks=pytest.mark.full) for spoil in OTHERS)]


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_every_verdict_is_finite_or_inconclusive(spoil: Callable[[Rows], Rows], swept: Make) -> None:
    verdicts = judged(swept(spoil(simulated_sweep.simulate(Truth()))))
    assert len(verdicts) == 7
    for verdict in verdicts:
        if verdict.interval is None:
            assert verdict.verdict == "inconclusive", verdict.claim
        else:
            assert np.isfinite(verdict.interval).all()
            assert verdict.interval[0] <= verdict.interval[1]  # a regret's bounds end at zero, both of them maybe
            assert verdict.measured is not None
        assert verdict.measured is None or np.isfinite(verdict.measured)
        assert "nan" not in verdict.because
    if spoil in (same_over_seeds, two_seeds_of_one_run, one_seed):
        assert {v.verdict for v in verdicts} == {"inconclusive"}
    if spoil is same_over_seeds:
        assert any("end at one loss" in v.because for v in verdicts)


def test_an_undefined_interval_of_a_difference_is_no_reproduction(swept: Make) -> None:
    """Resamples without a number: no margin is shown, so that nothing is reproduced."""
    evidence = Evidence(swept(), resamples=100)
    found = evidence.comparison
    assert claims.law.rule(evidence)[0] == "reproduced"
    for errors in found.settings[DENSE_TO_SPARSE].errors.values():
        assert errors.draws is not None
        errors.draws[:20] = np.nan
    assert claims.law.rule(evidence)[0] == "inconclusive"
