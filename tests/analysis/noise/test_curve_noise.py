"""The noise of curves is found again as it was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.noise import curve_noise
from analysis.noise.curve_noise import CurveNoise
from analysis.tables.post_training import curve_points
from analysis.worlds import simulated_post_training as simulated


def test_a_curves_part_and_its_points_part_are_found_again() -> None:
    found = curve_noise.measure(curve_points(simulated.simulate(level=0.02, point=0.004, seeds=12)))
    assert isinstance(found, CurveNoise)
    assert found.level.low < np.hypot(0.02, 0.004 / np.sqrt(10)) < found.level.high
    assert found.point == pytest.approx(0.004, rel=0.1)
    # The mean |difference of two normal errors| over the doublings of a step is 2 / sqrt(pi) of one of them.
    doublings = np.diff(np.log2(simulated.AFTER)).mean()
    assert found.slope == pytest.approx(0.004 * 2 / np.sqrt(np.pi) / doublings, rel=0.15)


def test_noise_that_is_drawn_is_shared_within_a_curve() -> None:
    points = curve_points(simulated.simulate(level=0.02, point=0.004, seeds=12))
    found = curve_noise.measure(points)
    assert isinstance(found, CurveNoise)
    drawn = found.draw(points, np.random.default_rng(0), 200)
    within = np.mean([drawn[:, own].std(axis=1) for own in points.curves.values()])
    assert within == pytest.approx(found.point, rel=0.1)
    assert drawn.std() == pytest.approx(found.overall, rel=0.05)
    assert found.scaled(0.5).overall == pytest.approx(found.overall / 2)


@pytest.mark.parametrize(("seeds", "said"), [(1, "several seeds"), (2, "")])
def test_one_seed_measures_no_noise(seeds: int, said: str) -> None:
    found = curve_noise.measure(curve_points(simulated.simulate(seeds=seeds)))
    assert isinstance(found, str) if said else isinstance(found, CurveNoise)
    assert said in (found if isinstance(found, str) else "")


def test_seeds_that_end_at_one_loss_measure_none() -> None:
    points = curve_points(simulated.simulate(level=0.0, point=0.0))
    found = curve_noise.measure(points)
    assert isinstance(found, str)
    assert "end at one loss" in found
