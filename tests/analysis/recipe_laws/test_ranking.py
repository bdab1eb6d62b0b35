"""How often small budgets rank recipes as the largest does, against the noise."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analysis.recipe_laws.ladders import BASE, Truth, ladder
from tests.analysis.recipe_laws.test_fractions import compared

APART: dict[str, Truth] = {f"r{i}": (BASE[0] + 0.03 * i, *BASE[1:]) for i in range(5)}


def test_recipes_far_apart_are_ranked_alike_everywhere_and_shown_to_be() -> None:
    found = compared(ladder(APART, np.random.default_rng(0)), reference="r0", resamples=100)
    assert len(found.rankings) == 6
    for own in found.rankings:
        assert (own.pairs, own.accuracy.value, own.switched) == (10, 1.0, 0)
        assert own.kept >= 9
        assert own.repeat.value == pytest.approx(1.0, abs=0.01)


def test_equal_recipes_are_shown_neither_to_keep_nor_to_switch_their_order() -> None:
    shown = 0
    for seed in range(6):
        found = compared(
            ladder({f"r{i}": BASE for i in range(5)}, np.random.default_rng(seed)), reference="r0", resamples=100
        )
        shown += any(own.kept + own.switched for own in found.rankings)
        assert 0.4 < found.rankings[0].repeat.value < 0.95  # type: ignore[operator]
    assert shown <= 2


def test_the_interval_holds_the_accuracy_of_the_true_orders() -> None:
    """Pairs of recipes far apart keep their order, and pairs of one that gains with scale switch theirs."""
    recipes = {"r0": BASE, "r1": (1.9, *BASE[1:]), "gains": (1.7, 1.5, 0.24, 1.0)}
    held = []
    for seed in range(8):
        found = compared(ladder(recipes, np.random.default_rng(seed)), reference="r0", resamples=100)
        first = found.rankings[0].accuracy
        held.append(first.low <= 1 / 3 <= first.high)  # type: ignore[operator]
    assert np.mean(held) >= 0.75


def test_a_recipe_without_runs_at_the_largest_budget_is_in_no_pair_and_named() -> None:
    rows = ladder(APART, np.random.default_rng(0))
    top = max(row["C"] for row in rows)
    rows = [row for row in rows if row["recipe"] != "r4" or row["C"] < top]
    found = compared(rows, reference="r0", resamples=100)
    assert {own.pairs for own in found.rankings} == {6}
    assert any("in no pair: r4" in text for text in found.warnings)
