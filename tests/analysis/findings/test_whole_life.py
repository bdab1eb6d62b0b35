"""What the dense law is off by on pruned models that train on, with the seeds' noise taken out."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.findings.post_training import Recovery
from analysis.findings.whole_life import WholeLife, beyond
from analysis.laws.law import Array
from analysis.worlds import simulated_post_training as simulated
from analysis.worlds.world import RecoveryWorld


@pytest.mark.parametrize("bias", [0.0, 0.005, 0.03])
def test_a_known_bias_under_known_noise_is_found_again(bias: float) -> None:
    noise = 0.02
    residual = bias + noise * np.random.default_rng(0).standard_normal(100_000)
    assert beyond(noise, float(np.mean(residual**2))).value == pytest.approx(bias, abs=0.002)
    assert beyond(0.0, float(np.mean(residual**2))).value == pytest.approx(np.hypot(bias, noise), rel=0.01)


def test_nothing_is_left_of_less_than_the_noise_and_what_isnt_finite_stays_so() -> None:
    found = beyond(0.02, 0.01**2, np.linspace(-4e-4, 4e-4, 200))
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high is not None
    assert 0 < found.high < 0.02
    assert np.isnan(beyond(0.02, float("nan")).value)


def test_the_interval_is_that_of_the_square() -> None:
    """Of a bias b = .03 known to sd s = .002, b² is known to 2 b s."""
    bias, sd, noise = 0.03, 0.002, 0.01
    draws = (bias + sd * np.random.default_rng(0).standard_normal(10_000)) ** 2
    found = beyond(noise, bias**2 + noise**2, draws)
    assert found.value == pytest.approx(bias)
    assert found.low == pytest.approx(bias - 1.96 * sd, abs=4e-4)
    assert found.high == pytest.approx(bias + 1.96 * sd, abs=4e-4)


def life(bias: float, level: float) -> WholeLife:
    """Of a sweep in whose world pruned models end `bias` nats over the law, under noise of their curves."""

    def truth(world: RecoveryWorld) -> Array:
        return world.over_the_life() + np.where(world.points["role"] == "control", 0.0, bias)

    tables = simulated.simulate(truth, level=level, point=level / 5, methods=("depth-taylor", "width-taylor"))
    return Recovery.of(tables, 100).life


def test_curves_off_by_a_bias_show_it_whatever_their_noise() -> None:
    off, right = life(0.03, 0.01).error, life(0.0, 0.01).error
    assert off is not None
    assert right is not None
    assert off.interval is not None
    assert off.interval[0] < 0.03 < off.interval[1]
    assert off.value == pytest.approx(0.03, abs=0.006)
    assert right.value < 0.006


def test_without_seeds_the_noise_cant_be_taken_out() -> None:
    post = Recovery.of(simulated.simulate(RecoveryWorld.over_the_life, seeds=1), 100)
    assert post.life.error is None
    assert post.life.ratio is not None
