from __future__ import annotations

import numpy as np
import pytest

from analysis.findings.evidence import Evidence
from analysis.findings.theory import TwoRegimes, fit_regimes, sums
from repro.schedule import Declared, PruningSchedule

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
    assert (own, alike) == pytest.approx((end, end), abs=1e-9)


@pytest.mark.parametrize("sparsity", [0.2, 0.8])
def test_with_its_own_compute_every_schedule_of_one_budget_ends_alike(sparsity: float) -> None:
    found = regimes()
    early, late = (
        PruningSchedule.resolve(Declared(3000, sparsity, start=start, end=start + 0.25, interval=10))
        for start in (0.0, 0.75)
    )
    dense = sums(found, PruningSchedule.dense(3000), PRUNABLE, BATCH)
    for schedule in (early, late):
        assert sums(found, schedule, PRUNABLE, BATCH)[0] == pytest.approx(dense[0], abs=3e-3)


def test_at_the_dense_runs_compute_a_step_gains_its_density_of_what_the_dense_step_gains() -> None:
    found = regimes()
    halved = PruningSchedule.resolve(Declared(1500, 0.5, "constant"))
    assert halved.total_steps == 3000
    first, end = (float(found.loss(np.array([at]))[0]) for at in (found.first, 3000 * STEP))
    assert sums(found, halved, PRUNABLE, BATCH)[1] == pytest.approx((first + end) / 2, abs=1e-9)


def test_at_the_dense_runs_compute_a_weight_that_goes_early_costs_more() -> None:
    early, late = (
        PruningSchedule.resolve(Declared(3000, 0.8, start=start, end=start + 0.25, interval=10)) for start in (0.0, 0.5)
    )
    assert sums(regimes(), early, PRUNABLE, BATCH)[1] > sums(regimes(), late, PRUNABLE, BATCH)[1] + 0.05


def test_the_gain_is_the_slope_of_the_loss() -> None:
    found = regimes()
    flops = np.array([0.02, 0.5]) * found.last
    slope = (found.loss(flops * 1.0001) - found.loss(flops * 0.9999)) / (flops * 2e-4)
    np.testing.assert_allclose(found.gain(flops), -slope, rtol=1e-6)


def test_a_sweeps_runs_are_predicted_beside_their_dense_run(evidence: Evidence) -> None:
    theory = evidence.theory
    assert len(theory.regimes) == 6
    assert len(theory.predictions) == 4 * 4 + 80  # the law set's other sizes, and the grid with 25/50/25 in it
    assert all(abs(p.own) < 0.05 for p in theory.predictions)
    own = [p for p in theory.predictions if p.run["size"] == "25k" and p.run["budget"] == "10t"]
    row = next(r for r in theory.agreement() if r["family"] == "25k 10t" and "dense run" in r["reading"])
    assert row["sparse runs"] == len(own) == 40
    assert row["mean |error|"] == pytest.approx(np.mean([abs(p.alike - p.measured) for p in own]))
    late = {p.run["sparsity"]: p.alike for p in own if (p.run["start"], p.run["end"]) == (0.0, 0.25)}
    assert 0 < late[0.2] < late[0.4] < late[0.6] < late[0.8]  # what goes at the very start costs in proportion
