from __future__ import annotations

from collections.abc import Callable

import pytest

from analysis.claims import Verdict, final_size
from analysis.findings.evidence import Evidence
from analysis.laws.registry import N_FINAL
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]


def verdict(tables: Tables) -> Verdict:
    return final_size.judge(Evidence(tables, resamples=100))


def test_the_average_law_makes_the_final_model_half_the_size(swept: Make) -> None:
    found = verdict(swept(truth=Truth(sigma=0.001)))
    assert found.verdict == "reproduced"
    assert found.measured == pytest.approx(1.99, abs=0.1)  # N_avg / N_final of a geometric decline at 25/50/25


def test_a_law_in_the_final_count_refutes_it(swept: Make) -> None:
    found = verdict(swept(truth=Truth(law=N_FINAL, sigma=0.001)))
    assert found.verdict == "not reproduced"
    assert found.measured == pytest.approx(1.0, abs=0.15)


def test_noise_makes_it_inconclusive(swept: Make) -> None:
    assert verdict(swept(truth=Truth(sigma=0.1))).verdict == "inconclusive"


def test_without_a_pair_at_80_percent_there_is_a_reason(swept: Make) -> None:
    found = verdict(swept([r for r in simulated_sweep.simulate(Truth()) if r["sparsity"] != 0.8]))
    assert (found.verdict, found.measured) == ("inconclusive", None)
    assert "80%" in found.because
