"""The best learning rate is the bottom of the bowl, or said to be unknown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from analysis.__main__ import main
from analysis.rate_laws import rate_law
from analysis.rate_laws.learning_rates import Best, find
from repro.errors import UserError


def table(points: list[tuple[float, float]], **more: Any) -> pa.Table:
    columns = {
        "size": "9k", "budget": "x", "sparsity": 0.0, "start": None, "end": None, "N_prunable": 9000, "total_steps": 100,
        "dense_tokens": 180_000, "shape": "dense", "mirror": None, "pieces": None,
    } | more  # fmt: skip
    rows = [{**columns, "studies": ["lr"], "lr": lr, "loss": loss} for lr, loss in points]
    return pa.Table.from_pylist([*rows, {**columns, "studies": ["law"], "lr": 1.0, "loss": 0.0}])


def best(runs: pa.Table) -> tuple[Best, ...]:
    return find(runs).best


def test_it_is_the_vertex_of_the_parabola_in_log_lr() -> None:
    bowl = [(lr, 3 + 0.1 * math.log(lr / 0.013) ** 2) for lr in (0.004, 0.008, 0.016, 0.032)]
    [found] = best(table(bowl))
    assert found.lr == pytest.approx(0.013, rel=0.01)
    assert (found.tried, found.at_edge) == (4, False)


def test_a_least_loss_at_the_edge_is_said_to_be_one() -> None:
    [found] = best(table([(0.004, 3.0), (0.008, 3.1), (0.016, 3.2)]))
    assert found.at_edge
    assert found.lr == pytest.approx(0.004)


def test_a_rate_that_diverged_is_no_outcome_and_is_counted() -> None:
    [found] = best(table([(0.004, 3.2), (0.008, 3.0), (0.016, 3.1), (0.032, math.nan), (0.064, math.inf)]))
    assert (found.tried, found.unusable, found.at_edge) == (3, 2, False)
    assert 0.004 < found.lr < 0.016


def test_seeds_of_one_rate_count_once() -> None:
    [found] = best(table([(lr, 3 + (lr != 0.008) * 0.1 + d) for lr in (0.004, 0.008, 0.016) for d in (-0.01, 0.01)]))
    assert (found.tried, found.lr) == (3, pytest.approx(0.008))
    assert found.loss == pytest.approx(3.0)


def test_equal_losses_have_no_vertex() -> None:
    [found] = best(table([(0.004, 3.0), (0.008, 3.0), (0.016, 3.0)]))
    assert found.lr == pytest.approx(0.004)


def test_a_sweep_without_such_a_study_is_said_to_be_one(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr", str(quick)]) == 2
    told = capsys.readouterr().err
    assert "no learning-rate study" in told
    assert "schedules" in told


@pytest.mark.parametrize("points", [[(0.004, math.nan)], [(0.004, -1.0), (0.008, math.inf)]])
def test_a_study_without_a_finite_loss_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(UserError, match="finite loss"):
        best(table(points))


RATES = [0.005 * 1.7**i for i in range(7)]
DENSITIES = {0.0: 1.0, 0.4: 0.6, 0.8: 0.2}


def bowls(slope: float, noise: float, rng: np.random.Generator, seeds: int = 3, windows: float = 0.0) -> pa.Table:
    """Two sizes, dense and at two sparsities with two windows, whose best rates go as density to a power."""
    parts = []
    for size, centre in (("9k", 0.025), ("30k", 0.02)):
        for sparsity, density in DENSITIES.items():
            for start in (0.25, 0.5) if sparsity else (None,):
                best = centre * density**slope * math.exp(windows * (start == 0.5))
                points = [
                    (lr, 3 + 0.1 * math.log(lr / best) ** 2 + noise * rng.standard_normal())
                    for lr in RATES
                    for _ in range(seeds)
                ]
                end = None if start is None else 0.75
                parts.append(table(points, size=size, sparsity=sparsity, start=start, end=end))
    return pa.concat_tables(parts, promote_options="permissive")


def test_each_sparsity_and_window_has_a_bowl_of_its_own_with_an_interval() -> None:
    found = best(bowls(-0.2, 0.003, np.random.default_rng(0)))
    assert [(b.size, b.sparsity, b.start) for b in found[:5]] == [
        ("9k", 0.0, None), ("9k", 0.4, 0.25), ("9k", 0.4, 0.5), ("9k", 0.8, 0.25), ("9k", 0.8, 0.5),
    ]  # fmt: skip
    for own in found:
        assert own.interval is not None
        assert own.interval[0] < own.lr < own.interval[1] < 2 * own.interval[0]


def test_the_slope_and_the_multiples_come_back_and_their_intervals_hold_them() -> None:
    rng = np.random.default_rng(1)
    held = []
    for _ in range(20):
        rates = find(bowls(-0.2, 0.004, rng))
        line, multiples = rate_law.slope(rates), list(rate_law.multiples(rates))
        assert line.value == pytest.approx(-0.2, abs=0.15)
        assert [m.sparsity for m in multiples] == [0.4, 0.8]
        ends = [(line.interval, -0.2), *((m.interval, (1 - m.sparsity) ** -0.2) for m in multiples)]
        held += [low < true < high for (low, high), true in ends]  # type: ignore[misc]
    assert np.mean(held) > 0.85


def test_windows_that_differ_widen_the_slopes_interval() -> None:
    alike, apart = (rate_law.slope(find(bowls(-0.2, 0.002, np.random.default_rng(2), windows=w))) for w in (0.0, 0.4))
    assert alike.interval is not None
    assert apart.interval is not None
    assert np.ptp(apart.interval) > 3 * np.ptp(alike.interval)


def test_a_bowl_without_a_bottom_stays_out_of_the_slope_and_is_named() -> None:
    rates = find(bowls(-1.0, 0.002, np.random.default_rng(3)))  # at 80% the best rate is the largest
    line = rate_law.slope(rates)
    assert line.left_out == tuple(rate_law.name(b) for b in rates.best if b.at_edge)
    assert line.left_out[0] == "9k x 80% 25/50/25"
    assert line.value == pytest.approx(-1.0, abs=0.2)
    assert [m.sparsity for m in rate_law.multiples(rates)] == [0.4]
    assert any("left out of it" in text for text in rate_law.lines(rates))


def test_one_seed_makes_no_interval_and_no_slope_and_says_so() -> None:
    rates = find(bowls(-0.2, 0.0, np.random.default_rng(0), seeds=1))
    assert all(b.interval is None for b in rates.best)
    assert rate_law.slope(rates).value is None
    assert "no configuration was run with several seeds" in str(rate_law.as_json(rates)["no_noise"])
    assert [m.multiple for m in rate_law.multiples(rates)] == pytest.approx([0.6**-0.2, 0.2**-0.2], rel=0.1)
