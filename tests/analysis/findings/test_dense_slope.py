"""The local slope is that of the law it was drawn from, and where nothing tells it, that is said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.findings.dense_slope import DensePoints, Slope, local_slope
from analysis.laws.registry import N_AVG
from analysis.noise.spread import Spread

TRUTH = np.array([1.82, 60.0, 0.46, 3e4, 0.87])
N, D = (a.ravel() for a in np.meshgrid([1e4, 2.5e4, 6e4, 1.4e5], [1e6, 2e6, 4e6, 8e6]))


def drawn(noise: float, rng: np.random.Generator) -> DensePoints:
    loss = N_AVG.predict(TRUTH, {"N_avg": N, "D": D}) + noise / 3**0.5 * rng.standard_normal(len(N))
    return DensePoints(N, D, loss, np.full(len(N), 3.0))


@pytest.mark.parametrize("at", [1e4, 2.5e4, 1.4e5])
def test_its_interval_holds_the_laws_slope(at: float) -> None:
    rng, true = np.random.default_rng(0), -0.46 * 60.0 * at**-0.46
    held = []
    for _ in range(200):
        found = local_slope(drawn(0.01, rng), at, 3e6, None)
        assert isinstance(found, Slope)
        held.append(abs(found.value - true) < found.se * stats.t.ppf(0.975, found.dof))
    assert np.mean(held) > 0.92


def test_what_the_points_leave_over_widens_it_and_noise_is_its_least() -> None:
    rng = np.random.default_rng(0)
    calm, rough = (local_slope(drawn(sd, rng), 2.5e4, 3e6, None) for sd in (0.001, 0.2))
    known = local_slope(drawn(0.001, rng), 2.5e4, 3e6, Spread.from_squares(20 * 0.2**2, 20, 10))
    assert isinstance(calm, Slope)
    assert isinstance(rough, Slope)
    assert isinstance(known, Slope)
    assert min(rough.se, known.se) > 1.3 * calm.se


@pytest.mark.parametrize("chosen", [N == 1e4, D == 1e6, (N < 3e4) & (D < 3e6), N < 0])
def test_points_that_do_not_vary_or_are_few_say_so(chosen: np.ndarray) -> None:
    whole = drawn(0.01, np.random.default_rng(0))
    few = DensePoints(*(column[chosen] for column in (whole.n, whole.d, whole.loss, whole.seeds)))
    assert isinstance(local_slope(few, 2.5e4, 3e6, None), str)


def test_too_few_points_are_counted_whole_and_by_how_near_they_lie() -> None:
    whole, cross = (
        drawn(0.01, np.random.default_rng(0)),
        ((N == 1e4) & (D < 8e6)) | ((D == 1e6) & (N < 1e5)) | (D * N == 1e11),
    )
    few = DensePoints(*(column[cross] for column in (whole.n, whole.d, whole.loss, whole.seeds)))
    said = local_slope(few, 1e4, 1e6, None)
    assert isinstance(said, str)
    assert f"the {cross.sum()} dense configurations count as " in said
    counted = float(said.split("count as ")[1].split()[0])
    assert 1 <= counted < cross.sum()
