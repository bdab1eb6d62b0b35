from __future__ import annotations

import numpy as np
import pytest

from analysis.theory import TwoRegimes, explain, fit_regimes, sums
from repro.schedule import PruningSchedule

BATCH, PRUNABLE = 512, 10_000
STEP = 6.0 * BATCH * PRUNABLE


def curve(steps: int = 3000, *, bend: float = 0.1, before: float = 0.2, after: float = 0.05) -> tuple[np.ndarray, ...]:
    flops = STEP * np.arange(1, steps + 1)
    far = np.log(flops / (bend * flops[-1]))
    return flops, 3 * np.exp(-np.where(far < 0, before, after) * far)


def test_two_regimes_are_found_where_they_are() -> None:
    flops, loss = curve()
    found = fit_regimes(flops, loss)
    assert found is not None
    assert found.before == pytest.approx(0.2, rel=0.02)
    assert found.after == pytest.approx(0.05, rel=0.02)
    assert found.break_flops == pytest.approx(0.1 * flops[-1], rel=0.05)
    np.testing.assert_allclose(found.loss(flops[5:]), loss[5:], rtol=0.01)


def test_noise_moves_the_exponents_little() -> None:
    flops, loss = curve()
    found = fit_regimes(flops, loss * np.exp(0.02 * np.random.default_rng(0).standard_normal(len(loss))))
    assert found is not None
    assert found.before == pytest.approx(0.2, rel=0.15)
    assert found.after == pytest.approx(0.05, rel=0.15)


def test_a_curve_too_short_for_two_regimes_has_none() -> None:
    assert fit_regimes(*(part[:4] for part in curve())) is None


def regimes() -> TwoRegimes:
    found = fit_regimes(*curve())
    assert found is not None
    return found


def test_a_dense_run_gains_what_its_curve_says_in_both_readings() -> None:
    found, steps = regimes(), 3000
    own, alike = sums(found, PruningSchedule.dense(steps), PRUNABLE, BATCH)
    end = float(found.loss(np.array([STEP * steps]))[0])
    assert own == alike == pytest.approx(end, abs=2e-3)


@pytest.mark.parametrize("sparsity", [0.2, 0.8])
def test_with_its_own_compute_every_schedule_of_one_budget_ends_alike(sparsity: float) -> None:
    found = regimes()
    early, late = (
        PruningSchedule.resolve(sparsity=sparsity, dense_steps=3000, start=start, end=start + 0.25, interval=10)
        for start in (0.0, 0.75)
    )
    dense = sums(found, PruningSchedule.dense(3000), PRUNABLE, BATCH)
    for schedule in (early, late):
        assert sums(found, schedule, PRUNABLE, BATCH)[0] == pytest.approx(dense[0], abs=3e-3)


def test_at_the_dense_runs_compute_a_weight_that_goes_early_costs_more() -> None:
    """By hand: the gain of step k is the dense run's, times the density then."""
    found = regimes()
    ends = []
    for start in (0.0, 0.5):
        schedule = PruningSchedule.resolve(sparsity=0.8, dense_steps=3000, start=start, end=start + 0.25, interval=10)
        steps = np.arange(schedule.total_steps)
        kept = (steps + 0.5) * STEP >= found.first
        gain = found.loss((steps[1:]) * STEP) - found.loss((steps[1:] + 1) * STEP)
        density = np.array([schedule.density(t) for t in steps])
        by_hand = found.loss(np.array([found.first]))[0] - float((gain * density[1:])[kept[1:]].sum())
        ends.append(sums(found, schedule, PRUNABLE, BATCH)[1])
        assert ends[-1] == pytest.approx(by_hand, abs=5e-3)
    assert ends[0] > ends[1]


def test_a_sweeps_runs_are_predicted_beside_their_dense_run(swept) -> None:
    theory = explain(swept())
    assert len(theory.regimes) == 6
    assert len(theory.predictions) == 4 * 4 + 80  # the law set's other sizes, and the grid with 25/50/25 in it
    assert all(abs(p.own) < 0.05 for p in theory.predictions)
    rows = list(theory.agreement())
    assert {r["reading"] for r in rows} == {"C_k of the run itself", "C_k of the dense run at the same step"}
    assert all(r["mean |error|"] >= 0 for r in rows)
