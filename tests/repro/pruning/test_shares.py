"""Numbers of weights split over tensors: exact sums, bounds that hold, proportions where none does."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from repro.pruning.shares import bounded, shares


def test_shares_are_proportional_up_to_one_and_add_up() -> None:
    sizes = {"a": 7, "b": 70, "c": 300, "d": 300}
    for keep in range(678):
        found = shares(sizes, keep)
        assert sum(found.values()) == keep
        assert all(abs(found[name] - Fraction(keep * size, 677)) < 1 for name, size in sizes.items())


def test_of_equal_remainders_the_first_gets_the_weight() -> None:
    assert shares({"a": 5, "b": 5, "c": 5}, 7) == {"a": 3, "b": 2, "c": 2}


def test_what_a_full_tensor_does_not_take_goes_to_the_others_in_proportion() -> None:
    # By parts it would be 30, 30, 60; the first holds 6 at most, and 114 are shared one to two.
    assert bounded({"a": 1, "b": 1, "c": 2}, 120, {"a": 0, "b": 0, "c": 0}, {"a": 6, "b": 99, "c": 99}) == {
        "a": 6,
        "b": 38,
        "c": 76,
    }


@pytest.mark.parametrize("seed", range(40))
def test_bounded_shares_are_what_one_scale_gives_within_the_bounds(seed: int) -> None:
    draw = Random(seed)
    names = [f"t{i}" for i in range(draw.randint(1, 8))]
    parts = {name: draw.randint(1, 60) for name in names}
    most = {name: draw.randint(0, 900) for name in names}
    least = {name: draw.randint(0, most[name]) for name in names}
    keep = draw.randint(sum(least.values()), sum(most.values()))
    found = bounded(parts, keep, least, most)
    assert sum(found.values()) == keep
    assert all(least[name] <= found[name] <= most[name] for name in names)
    free = [Fraction(found[name], parts[name]) for name in names if least[name] < found[name] < most[name]]
    scales = [
        (Fraction(found[name] - 1, parts[name]), Fraction(found[name] + 1, parts[name]))
        for name in names
        if least[name] < found[name] < most[name]
    ]
    # Rounding moves each by less than one weight, so that one scale lies within one weight of all that no bound holds,
    assert not free or max(low for low, _ in scales) < min(high for _, high in scales)
    # and those at a bound would lie beyond it.
    for name in names:
        if scales and found[name] == least[name] < most[name]:
            assert min(high for _, high in scales) * parts[name] > 0
            assert max(low for low, _ in scales) * parts[name] < least[name] + 1
        if scales and found[name] == most[name] > least[name]:
            assert min(high for _, high in scales) * parts[name] > most[name] - 1


def test_more_than_the_bounds_allow_is_refused() -> None:
    with pytest.raises(ValueError, match="don't fit"):
        bounded({"a": 1}, 11, {"a": 0}, {"a": 10})
