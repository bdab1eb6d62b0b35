"""Minima over sizes by budget, and the power of compute that they go with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.fits import size_curves
from analysis.fits.isoflop import isoflop
from repro.errors import UserError
from tests.analysis import compute

METHODS: tuple[Any, ...] = ("parabola", "free")


@pytest.mark.parametrize("method", METHODS)
def test_sizes_around_the_best_ones_show_the_exponent(method: Any) -> None:
    size, flops, tokens, loss = compute.budgets(compute.HOFFMANN)
    found = isoflop(size, flops, tokens, compute.noisy(loss, 0.003, np.random.default_rng(0)), method=method)
    true = compute.a_n(compute.HOFFMANN)
    assert found.a_N.low < true < found.a_N.high
    assert found.a_N.high - found.a_N.low < 0.04
    assert (found.a_D.value, found.a_D.low) == pytest.approx((1 - found.a_N.value, 1 - found.a_N.high))
    for one in found.best:
        true_size = compute.best_size(compute.HOFFMANN, np.array([one.C]))[0]
        assert pytest.approx([true_size], rel=0.06) == [one.N]
        assert pytest.approx([one.C / (6 * (one.N or 0))]) == [one.D]
        assert (one.low or 0) < (one.N or 0) < (one.high or 0)
    assert found.noise == pytest.approx(0.003, rel=0.4)


def test_a_free_shape_finds_minima_that_parabolas_miss() -> None:
    """Lopsided curves and sizes that lie differently around the minimum from budget to budget."""
    size, flops, tokens, loss = compute.budgets(compute.LOPSIDED, 6, 8, 6.0, drift=1.0)
    loss = compute.noisy(loss, 0.0005, np.random.default_rng(0))
    parabolas, free = (isoflop(size, flops, tokens, loss, method=m) for m in METHODS)
    true = compute.a_n(compute.LOPSIDED)
    assert abs(parabolas.a_N.value - true) > 0.003
    assert abs(free.a_N.value - true) < 0.001
    assert free.a_N.low < true < free.a_N.high
    assert free.a_N.high - free.a_N.low < (parabolas.a_N.high - parabolas.a_N.low) / 4
    assert any("don't lie on a parabola" in text for text in parabolas.warnings)
    assert free.warnings == ()


def test_what_parabolas_fit_needs_no_other_shape() -> None:
    size, flops, tokens, loss = compute.budgets(compute.BESIROGLU, wide=2.0)
    loss = compute.noisy(loss, 0.003, np.random.default_rng(1))
    parabolas, free = (isoflop(size, flops, tokens, loss, method=m) for m in METHODS)
    assert free.a_N.value == pytest.approx(parabolas.a_N.value, abs=1e-6)
    assert parabolas.warnings == ()


def test_budgets_are_grouped_by_a_tolerance_and_each_row_is_in_one() -> None:
    flops = np.array([1e18, 1.05e18, 0.97e18, 3e18, 3.2e18, 3.29e18, 3.31e18, 1.2e19])
    size: Any = np.arange(8) + 1.0
    found = size_curves.by_budget(size, flops, np.ones(8), 0.1)
    assert [sorted(curve.rows) for curve in found] == [[0, 1, 2], [3], [4, 5, 6], [7]] or [
        sorted(curve.rows) for curve in found
    ] == [[0, 1, 2], [3, 4, 5], [6], [7]]
    assert all(flops[curve.rows].max() <= 1.1 * flops[curve.rows].min() for curve in found)
    assert len(size_curves.by_budget(size, flops, np.ones(8), 100.0)) == 1


def test_a_minimum_at_the_edge_is_left_out_and_said() -> None:
    size, flops, tokens, loss = compute.budgets(compute.HOFFMANN, 5)
    best = compute.best_size(compute.HOFFMANN, flops)
    kept = (flops < flops.max()) | (size < 0.9 * best)
    found = isoflop(size[kept], flops[kept], tokens[kept], loss[kept], method="free")
    assert [one.left_out is None for one in found.best] == [True] * 4 + [False]
    assert "edge of its sizes: larger ones may be better" in str(found.best[-1].left_out)
    assert found.best[-1].N is None
    kept = (flops < 5e19) | (size < 0.9 * best)
    few = kept & (flops > 2e18)
    with pytest.raises(UserError, match="too few budgets") as refused:
        isoflop(size[few], flops[few], tokens[few], loss[few], method="parabola")
    assert "2 of 4 budgets" in str(refused.value)


def test_noise_is_measured_or_given() -> None:
    size, flops, tokens, loss = compute.budgets(compute.HOFFMANN, 4, 3)
    with pytest.raises(UserError, match="too few rows to measure"):
        isoflop(size, flops, tokens, loss, method="parabola")
    little, much = (isoflop(size, flops, tokens, loss, method="parabola", sigma=s).a_N for s in (0.001, 0.002))
    assert much.high - much.low == pytest.approx(2 * (little.high - little.low))


@pytest.mark.parametrize("method", METHODS)
def test_a_bootstrap_over_points_has_intervals_around_the_same_minima(method: Any) -> None:
    size, flops, tokens, loss = compute.budgets(compute.HOFFMANN)
    loss = compute.noisy(loss, 0.003, np.random.default_rng(0))
    by_noise = isoflop(size, flops, tokens, loss, method=method)
    by_points, again = (isoflop(size, flops, tokens, loss, method=method, resamples=100) for _ in range(2))
    assert by_points.a_N == again.a_N
    assert by_points.a_N.value == by_noise.a_N.value
    assert by_points.a_N.low < compute.a_n(compute.HOFFMANN) < by_points.a_N.high
    assert 0.5 < (by_points.a_N.high - by_points.a_N.low) / (by_noise.a_N.high - by_noise.a_N.low) < 2.5
    assert by_points.a_D.low == pytest.approx(1 - by_points.a_N.high)
    for one, other in zip(by_points.best, by_noise.best, strict=True):
        assert one.N == other.N
        assert one.low is None or one.high is None or one.low < (one.N or 0) < one.high
    assert sum(one.low is not None for one in by_points.best) >= 3


def test_a_bootstrap_over_points_knows_that_one_budget_is_noisier() -> None:
    size, flops, tokens, loss = compute.budgets(compute.HOFFMANN, sizes=9)
    noisy = np.where(flops == flops.max(), compute.noisy(loss, 0.006, np.random.default_rng(1)), loss)
    loss = compute.noisy(noisy, 0.0005, np.random.default_rng(2))

    def widths(resamples: int) -> list[float]:
        found = isoflop(size, flops, tokens, loss, method="parabola", resamples=resamples).best
        return [np.log((one.high or np.inf) / (one.low or 1)) for one in found]

    alike, own = widths(0), widths(100)
    assert alike[-1] < 3 * alike[1]
    assert own[-1] > 3 * own[1]


def test_too_few_sizes_for_a_bootstrap_over_points_are_refused() -> None:
    size, flops, tokens, loss = compute.budgets(compute.HOFFMANN, 3, 5, 3.0)
    loss = compute.noisy(loss, 0.004, np.random.default_rng(0))
    isoflop(size, flops, tokens, loss, method="parabola")
    with pytest.raises(UserError, match="no interval by a bootstrap over points") as refused:
        isoflop(size, flops, tokens, loss, method="parabola", resamples=100)
    assert "fewer than 3 budgets with a minimum in" in str(refused.value)


def test_minima_that_scatter_more_than_their_noise_widen_the_interval() -> None:
    size, flops, _, loss = compute.budgets(compute.HOFFMANN)
    rng = np.random.default_rng(0)
    recipes = np.exp(0.3 * rng.standard_normal(5))[np.unique(flops, return_inverse=True)[1]]
    loss = compute.noisy(loss, 0.001, rng)
    found = isoflop(size * recipes, flops, flops / (6 * size * recipes), loss, method="free")
    assert found.line.scattered
    assert any("based on that scatter" in text for text in found.warnings)
    again = isoflop(size * recipes, flops, flops / (6 * size * recipes), loss, method="free", resamples=100)
    assert any("leave --bootstrap out" in text for text in again.warnings)
    assert found.a_N.low < compute.a_n(compute.HOFFMANN) < found.a_N.high


def test_tokens_that_a_table_says_count_as_they_are() -> None:
    size, flops, tokens, loss = compute.budgets(compute.HOFFMANN)
    found = isoflop(size, flops, 3 * tokens**1.1, loss, method="parabola")
    assert found.a_D.value == pytest.approx(1.1 * (1 - found.a_N.value))
    tokens = tokens * np.exp(0.3 * np.sin(np.arange(len(tokens))))
    assert any("a_D" in text for text in isoflop(size, flops, tokens, loss, method="parabola").warnings)


def test_much_noise_bends_no_shape_out_of_all_bounds() -> None:
    size, flops, tokens, loss = compute.budgets(compute.BESIROGLU)
    rng = np.random.default_rng(18)
    for _ in range(60):
        found = isoflop(size, flops, tokens, compute.noisy(loss, 0.03, rng), method="free")
        assert np.isfinite([found.a_N.low, found.a_N.value, found.a_N.high]).all()
