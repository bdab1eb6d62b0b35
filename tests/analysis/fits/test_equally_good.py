"""From two sizes P2 doesn't identify a third: the set of equally good fits has the ends that its algebra gives."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.findings.post_training import MethodCurves
from analysis.fits.equally_good import EquallyGood, equally_good
from analysis.laws.registry import P2
from analysis.tables.post_training import curve_points
from analysis.worlds import simulated_post_training as simulated

METHOD = "depth-taylor"


def curves(theta: tuple[float, ...], noise: float) -> MethodCurves:
    tables = simulated.simulate(level=noise, point=noise / 3, theta={METHOD: theta}, methods=(METHOD,))
    return MethodCurves(curve_points(tables).of("pruned", METHOD), None, 0, (0,))


def test_two_sizes_leave_the_third_between_the_two_ends_of_the_algebra() -> None:
    e, n_c, _, gamma, delta, alpha, _ = theta = (1.0, 100.0, 200.0, -1.2, 0.1, 0.4, 0.35)
    own = curves(theta, 1e-4)
    found = equally_good(own.points, own.loss, own.smaller, ~own.smaller, None)
    sizes = np.unique(own.points["N0"])
    h = n_c * sizes**-alpha + e
    far = float(np.log(sizes[2] / sizes[1]) / np.log(sizes[1] / sizes[0]))
    judged = own.points.where(~own.smaller)
    scale = float(np.mean(judged["rho"] ** -gamma * judged["N0"] ** -delta))
    steepest = P2.parameters[P2.names.index("alpha")].high
    ratio = (sizes[1] ** -steepest - sizes[2] ** -steepest) / (sizes[0] ** -steepest - sizes[1] ** -steepest)
    low, high = scale * (h[1] * (h[1] / h[0]) ** far - h[2]), scale * (h[1] - (h[0] - h[1]) * ratio - h[2])
    assert len(found.alpha) > 5
    assert low - 0.003 < found.low < 0.3 * low  # the grid of alpha reaches the end to one step
    assert found.high == pytest.approx(high, abs=0.003)
    assert found.interval is None


def test_where_size_enters_by_one_exponent_all_fits_agree() -> None:
    own = curves((1.0, 1e-9, 200.0, -1.2, 0.1, 0.4, 0.35), 1e-4)
    found = equally_good(own.points, own.loss, own.smaller, ~own.smaller, None)
    assert isinstance(found, EquallyGood)
    assert found.high - found.low < 0.01
    assert abs(found.low) < 0.01
