from __future__ import annotations

from collections.abc import Callable

import pytest

from analysis.claims import Verdict, robustness
from analysis.findings.evidence import Evidence
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]


def verdict(tables: Tables) -> Verdict:
    return robustness.judge(Evidence(tables, resamples=100))


def shifted(sparsity: float, lr: float, batch: float) -> float:
    """A world in which a sparse run wants a smaller learning rate."""
    return simulated_sweep.tuned(sparsity, lr * (4 if sparsity else 1), batch)


def test_equal_optima_reproduce_the_claim(swept: Make) -> None:
    found = verdict(swept(truth=Truth(sigma=0.001)))
    assert found.verdict == "reproduced"
    assert found.measured == 0


def test_another_best_learning_rate_at_the_edge_is_inconclusive_and_says_so(swept: Make) -> None:
    found = verdict(swept(truth=Truth(sigma=0.001, recipe=shifted)))
    assert found.verdict == "inconclusive"
    assert "learning rate lies at the edge" in found.because


def test_another_best_learning_rate_inside_refutes_it(swept: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated_sweep, "MULTIPLES", (0.0625, 0.25, 1.0, 4.0))
    found = verdict(swept(truth=Truth(sigma=0.001, recipe=shifted)))
    assert found.verdict == "not reproduced"
    assert "at 80% another learning rate" in found.because
    assert found.measured == pytest.approx(0.12, abs=0.01)


def test_noise_makes_it_inconclusive(swept: Make) -> None:
    assert verdict(swept(truth=Truth(sigma=0.05))).verdict == "inconclusive"


def test_without_the_study_or_without_seeds_there_is_a_reason(swept: Make) -> None:
    rows = simulated_sweep.simulate(Truth())
    assert "no three learning rates" in verdict(swept([r for r in rows if "robustness" not in r["studies"]])).because
    assert "no configuration" in verdict(swept([r for r in rows if r["seed"] == 0])).because


def test_every_setting_and_its_loss_stand_in_the_details(swept: Make) -> None:
    regrets, losses = verdict(swept()).details
    assert [(r["factor"], r["sparsity"]) for r in regrets.rows] == [("learning rate", 0.8), ("batch", 0.8)]
    assert len(losses.rows) == 12
