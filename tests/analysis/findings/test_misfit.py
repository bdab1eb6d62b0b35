"""The lack of fit of a law of dense runs is what was put there, beyond the noise of the seeds."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.findings.arrow import LawDraws, Misfit
from analysis.findings.dense_slope import DensePoints
from analysis.fits.fit import fit, refit
from analysis.laws.registry import N_AVG
from analysis.noise.spread import Spread
from tests.analysis.mirrored_worlds import THETA
from tests.analysis.points import with_start

N, D = (np.array(own, dtype=float).ravel() for own in np.meshgrid([4e3, 8e3, 16e3, 32e3], [2e5, 5e5, 1e6, 2e6]))
SEEDS = np.array([1.0, 3.0, 3.0, 3.0] * 4)
SIGMA = 0.004
NOISE = Spread.from_squares(30 * SIGMA**2, 30, 15)


def measured(misfit: float, worlds: int = 300) -> list[Misfit]:
    """The lack of fit of laws fitted to means that lie off the truth by noise and by `misfit` nats."""
    rng, columns, theta = np.random.default_rng(0), {"N_avg": N, "D": D}, np.array(THETA)
    off = np.hypot(misfit, SIGMA / np.sqrt(SEEDS)) * rng.standard_normal((worlds, len(N)))
    losses = N_AVG.predict(theta, columns) + off
    start = fit(N_AVG, columns, losses[0], weights=SEEDS, start=theta)
    found = refit(N_AVG, columns, losses, start, weights=np.tile(SEEDS, (worlds, 1)))
    return [
        Misfit.of(DensePoints(N, D, loss, SEEDS), with_start(start, own), NOISE)
        for loss, own in zip(losses, found, strict=True)
    ]


def test_its_variance_comes_back_on_average() -> None:
    found = measured(0.01)
    assert {own.dof for own in found} == {11}
    excess = [(own.squares - own.dof * SIGMA**2) / own.reach for own in found]
    assert np.mean(excess) == pytest.approx(0.01**2, rel=0.1)


def test_where_the_seeds_explain_all_it_is_none_or_small() -> None:
    found = np.array([own.sd for own in measured(0.0)])
    assert 0.4 < np.mean(found == 0) < 0.7
    assert found.max() < SIGMA


def test_its_draws_are_as_wide_as_few_configurations_leave_it() -> None:
    rng = np.random.default_rng(1)
    inside = []
    for own in measured(0.01):
        low, high = np.quantile(own.draws(400, rng), [0.025, 0.975])
        inside.append(low <= 0.01 <= high)
    assert 0.92 <= np.mean(inside) <= 0.98


def test_resamples_of_the_law_lie_off_it_by_a_draw_for_each_configuration() -> None:
    law = LawDraws(np.tile(THETA, (50, 1)), np.full(50, 0.01))
    columns = {"N_avg": N, "D": D}
    off = law.predict(columns, 2000, np.random.default_rng(2)) - N_AVG.predict(np.array(THETA), columns)
    assert off.std(axis=0) == pytest.approx(np.full(len(N), 0.01), rel=0.1)
    assert abs(np.corrcoef(off[:, 0], off[:, 1])[0, 1]) < 0.1
