from __future__ import annotations

import numpy as np
import pytest

from analysis.noise.spread import Spread, measure
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth


def test_the_seeds_sd_comes_back_inside_its_interval(swept) -> None:
    noise = measure(swept(truth=Truth(sigma=0.01), seeds=12).runs)
    assert noise.overall is not None
    assert noise.overall.low < 0.01 < noise.overall.high
    assert set(noise.by_sparsity) == {0.0, 0.2, 0.4, 0.6, 0.8}
    assert sum(s.dof for s in noise.by_sparsity.values()) == noise.overall.dof


def test_one_seed_measures_no_noise(swept) -> None:
    noise = measure(swept([r for r in simulated_sweep.simulate(Truth()) if r["seed"] == 0]).runs)
    assert (noise.overall, noise.by_sparsity, noise.paired) == (None, {}, None)


def test_what_a_seed_does_to_all_runs_cancels_in_paired_differences(swept) -> None:
    rows = simulated_sweep.simulate(Truth(sigma=0.001), seeds=6)
    for row in rows:
        row["loss"] += 0.1 * row["seed"]
    noise = measure(swept(rows).runs)
    assert noise.overall is not None
    assert noise.paired is not None
    assert noise.overall.sd > 0.1
    assert noise.paired.low < 0.001 * np.sqrt(2) < noise.paired.high


def test_another_configuration_is_not_another_seed(swept) -> None:
    rows = [r for r in simulated_sweep.simulate(Truth()) if r["seed"] == 0][:1]
    rows.append(rows[0] | {"run_id": "other", "lr": 2 * rows[0]["lr"]})
    assert measure(swept(rows).runs).overall is None


def test_draws_of_a_spread_with_few_degrees_of_freedom_have_students_tails() -> None:
    spread = Spread.from_squares(4.0, 4, 2)
    assert spread.sd == 1.0
    draws = spread.draws((200_000, 1), np.random.default_rng(0))
    assert np.mean(draws > spread.quantile(0.01)) == pytest.approx(0.01, rel=0.1)


def test_two_runs_are_too_few_for_a_standard_deviation(swept) -> None:
    rows = [r for r in simulated_sweep.simulate(Truth()) if r["seed"] == 0]
    again = next(r for r in rows if "law" in r["studies"])
    one_more = {**again, "seed": 1, "run_id": "again", "loss": again["loss"] + 0.01}
    found = measure(swept([*rows, one_more]).runs)
    assert found.overall is None
    assert found.paired is None
