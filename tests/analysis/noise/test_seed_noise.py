"""The seeds' noise as a distribution: its own shape, its kinds, and what runs of one seed share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.noise.seed_noise import SeedNoise, families, kinds
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def quiet() -> Rows:
    """Six seeds of the pairs and the dense run of one size, with a noise of .002 nats."""
    rows = simulated_sweep.simulate(Truth(sigma=0.002), seeds=6)
    return [r for r in rows if r["size"].startswith("25k") and r["budget"] == "10t" and (r["start"] in (None, 0.25))]


@pytest.fixture
def rows(quiet: Rows) -> Rows:
    """A copy of them to change."""
    return [dict(row) for row in quiet]


def drawn(noise: SeedNoise, kind: list[str], families: list[tuple[object, ...]], worlds: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([noise.draw(kind, families, rng) for _ in range(worlds)])


def test_the_noise_that_was_drawn_is_measured_and_drawn_again(rows: Rows, swept: Make) -> None:
    tables = swept(rows)
    noise = SeedNoise.measured(tables)
    assert noise is not None
    assert noise.sd == pytest.approx(0.002, rel=0.25)
    assert noise.shape is not None
    runs = tables.runs
    again = drawn(noise, kinds(runs), families(runs), 300)
    assert again.std() == pytest.approx(noise.sd, rel=0.05)


def test_a_noise_of_rare_accidents_stays_one(rows: Rows, swept: Make) -> None:
    """One seed in six of each configuration ends high, another one in each."""
    for row in rows:
        row["loss"] += 0.1 * (row["seed"] == round(10 * row["sparsity"]) % 6)
    noise = SeedNoise.measured(swept(rows))
    assert noise is not None
    values = drawn(noise, ["none"], [("one",)])
    assert stats.skew(values.ravel()) > 1  # a normal distribution: 0


def test_a_noisier_kind_keeps_its_own_sd_and_quiet_sweeps_have_one_for_all(rows: Rows, swept: Make) -> None:
    assert SeedNoise.measured(swept(rows)).by_kind == {}  # type: ignore[union-attr]
    rng = np.random.default_rng(1)
    for row in rows:
        row["loss"] += 0.05 * rng.standard_normal() if row["sparsity"] == 0.8 else 0.0
    found = SeedNoise.measured(swept(rows))
    assert found is not None
    assert found.by_kind["25k 80%"] > 5 * found.by_kind["25k 20%"]
    values = drawn(found, ["25k 80%", "25k 20%"], [("a",), ("b",)])
    assert values[:, 0].std() == pytest.approx(found.by_kind["25k 80%"], rel=0.1)


def test_what_runs_of_one_seed_share_is_drawn_once_for_them(rows: Rows, swept: Make) -> None:
    luck = np.random.default_rng(2).normal(0, 0.02, size=10)
    for row in rows:
        row["loss"] += luck[row["seed"]]
    noise = SeedNoise.measured(swept(rows))
    assert noise is not None
    assert noise.shared > 0.8
    one, same, other = drawn(noise, ["x", "x", "x"], [("a",), ("a",), ("b",)]).T
    assert np.corrcoef(one, same)[0, 1] == pytest.approx(noise.shared, abs=0.05)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


def test_few_residuals_stand_for_a_normal_distribution(rows: Rows, swept: Make) -> None:
    noise = SeedNoise.measured(swept([r for r in rows if r["sparsity"] == 0 and r["size"] == "25k"]))
    assert noise is not None
    assert noise.shape is None
    assert "normal" in noise.said
    assert SeedNoise.measured(swept([r for r in rows if r["seed"] == 0])) is None
