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
    assert any("no parabola" in text for text in parabolas.warnings)
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
    assert all(curve.span <= 1.1 for curve in found)
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


def test_minima_that_scatter_more_than_their_noise_widen_the_interval() -> None:
    size, flops, _, loss = compute.budgets(compute.HOFFMANN)
    rng = np.random.default_rng(0)
    recipes = np.exp(0.3 * rng.standard_normal(5))[np.unique(flops, return_inverse=True)[1]]
    found = isoflop(size * recipes, flops, flops / (6 * size * recipes), compute.noisy(loss, 0.001, rng), method="free")
    assert found.line.scattered
    assert any("of that scatter" in text for text in found.warnings)
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
