"""Ids that the training text never uses, and the weights that they leave idle."""

from __future__ import annotations

import pytest

from repro.corpus import unused
from repro.ladder import Shape

SIZES = {"large": Shape(48, 1, 1, 192, 336), "small": Shape(24, 1, 1, 98, 336)}


def test_the_share_is_that_of_the_rows_of_the_head_among_the_prunable_weights() -> None:
    found = unused.shares(160, SIZES)
    assert [*found] == ["small", "large"]
    assert found["small"] == pytest.approx(160 * 24 / (4 * 24 * 24 + 3 * 24 * 98 + 336 * 24))


def test_the_smallest_and_the_largest_size_are_named_each_once() -> None:
    middle = {"middle": Shape(36, 1, 1, 144, 336)}
    assert unused.said(160, 336, SIZES | middle) == unused.said(160, 336, SIZES)
    text = unused.said(160, 336, SIZES)
    assert "160 of 336" in text
    assert "% of small's and" in text
    assert "% of large's prunable" in text
    assert "small" not in unused.said(160, 336, {"large": SIZES["large"]})
    assert "47.6% of the LM head's rows" in unused.said(160, 336, {})
    assert "each of the 336" in unused.said(0, 336, SIZES)


@pytest.mark.parametrize(("count", "is_said"), [(0, False), (7, False), (8, True), (160, True)])
def test_one_percent_of_any_size_is_worth_saying(count: int, is_said: bool) -> None:
    assert unused.is_worth_saying(count, SIZES) == is_said
