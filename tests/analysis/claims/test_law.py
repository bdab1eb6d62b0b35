from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from analysis.claims import Outcome, Verdict, law
from analysis.findings.compare import IN_SAMPLE
from analysis.findings.evidence import Evidence
from analysis.laws.law import Law
from analysis.laws.registry import N_DENSE, N_FINAL
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]


def ruled(tables: Tables) -> tuple[Outcome, str]:
    """The outcome and its reason, without the details, which cost more."""
    return law.rule(Evidence(tables, resamples=120))


@pytest.fixture(scope="module")
def true(evidence: Evidence) -> Verdict:
    return law.judge(evidence)


def test_runs_that_obey_the_average_law_reproduce_the_claim(true: Verdict) -> None:
    found = true
    assert found.verdict == "reproduced"
    assert found.interval is not None
    assert found.measured is not None
    assert found.interval[0] < found.measured < found.interval[1] < law.PAPER_ERROR


@pytest.mark.parametrize(
    "rival", [N_FINAL, pytest.param(N_DENSE, marks=pytest.mark.full)], ids=lambda rival: rival.name
)
def test_runs_that_obey_another_count_refute_it(rival: Law, swept: Make) -> None:
    assert ruled(swept(truth=Truth(law=rival)))[0] == "not reproduced"


@pytest.mark.full
def test_noise_refutes_nothing(swept: Make) -> None:
    found = law.judge(Evidence(swept(truth=Truth(sigma=0.15)), resamples=120))
    assert found.measured is not None
    assert found.measured > law.PAPER_ERROR
    assert found.verdict == "inconclusive"
    assert "noise" in found.because


def test_without_seeds_there_is_no_verdict(swept: Make) -> None:
    outcome, because = ruled(swept([r for r in simulated_sweep.simulate(Truth()) if r["seed"] == 0]))
    assert outcome == "inconclusive"
    assert "no configuration was run with several seeds" in because


def test_part_of_the_law_set_cant_reproduce_it(swept: Make) -> None:
    outcome, because = ruled(swept([r for r in simulated_sweep.simulate(Truth()) if r["sparsity"] != 0.6]))
    assert outcome == "inconclusive"
    assert "law set" in because


def test_every_law_and_setting_stands_in_the_details_beside_the_seeds_noise(true: Verdict) -> None:
    fits, *settings, noise = true.details
    assert len(fits.rows) == 6
    assert all(np.isfinite([row["AICc"], row["BIC"]]).all() for row in fits.rows)
    # Dense runs can't tell what sparsity does, and two sizes can't identify a size's exponent.
    laws = {"dense runs": 4, "the largest size": 4, "law set": 5}
    assert len(settings) == 8
    for detail in settings:
        wanted = next((n for where, n in laws.items() if where in detail.title), None)
        assert len(detail.rows) == wanted or "can't be fitted" in detail.title, detail.title
        assert all(
            row["seeds' σ"] is not None and row["low"] <= row["mean |error|"] <= row["high"] for row in detail.rows
        )
    assert noise.rows[0]["of"] == "one loss"


def test_one_run_has_no_range_of_losses_to_be_a_share_of(evidence: Evidence) -> None:
    setting = evidence.settings[IN_SAMPLE]
    first = {
        name: replace(errors, runs=errors.runs.where(np.array([0])), predicted=errors.predicted[:1], draws=None)
        for name, errors in setting.errors.items()
    }
    alone = law._errors(replace(setting, errors=first), evidence)
    assert {row["share of range"] for row in alone} == {None}
    assert all(row["share of range"] for row in law._errors(setting, evidence))


@pytest.mark.parametrize("sparse", [pytest.param(True, marks=pytest.mark.full), False])
def test_sparse_or_dense_runs_alone_say_nothing_of_one_law_for_both(sparse: bool, swept: Make) -> None:
    rows = [
        r
        for r in simulated_sweep.simulate(Truth(law=N_DENSE))
        if "law" not in r["studies"] or bool(r["sparsity"]) == sparse
    ]
    outcome, because = ruled(swept(rows))
    assert outcome == "inconclusive"
    assert "both dense and sparse" in because or "no fit" in because
