"""The noise of curves is found again as it was drawn."""

from __future__ import annotations

from dataclasses import replace

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
    assert drawn.std() == pytest.approx(found.over(points), rel=0.05)
    assert found.scaled(0.5).over(points) == pytest.approx(found.over(points) / 2)
    tried = points.of("tried")
    alike = points.of("pruned").where(
        np.isin(points.of("pruned")["run_id"], [r.split("-lr")[0] for r in tried["run_id"]])
    )
    both = replace(points, columns={n: np.concatenate([tried[n], alike[n]]) for n in points.columns})
    shared = replace(found, point=0.0).draw(both, np.random.default_rng(0))[0]
    assert len(np.unique(np.round(shared / found.share(both["D"]), 12))) == 1, (
        "another learning rate, the same pruned model"
    )


def test_the_power_of_the_tokens_with_which_noise_falls_is_found_again() -> None:
    clean, noisy = (curve_points(simulated.simulate(level=s, point=s / 5, seeds=12)) for s in (0.0, 0.02))
    falling = (clean["D"] / np.exp(np.log(clean["D"]).mean())) ** -0.5
    found = curve_noise.measure(clean.changed(loss=clean["loss"] + falling * (noisy["loss"] - clean["loss"])))
    assert isinstance(found, CurveNoise)
    assert found.fall == pytest.approx(0.5, abs=0.05)
    assert found.level.low < 0.02 < found.level.high
    assert found.point == pytest.approx(0.004, rel=0.1)
    ends, begins = (found.over(clean.where(clean["D"] == at)) for at in (clean["D"].max(), clean["D"].min()))
    assert ends / begins == pytest.approx(100**-found.fall, rel=0.02)


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
