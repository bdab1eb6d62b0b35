"""Numbers on the command line: within bounds, or refused with the option's name."""

from __future__ import annotations

import argparse

import pytest

from repro.console.options import real, whole


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("1e3", 1000), ("1_000", 1000), ("010", 10), ("+5", 5), ("2.0", 2)]
)
def test_a_whole_number_may_be_written_in_many_ways(text: str, value: int):
    assert whole(1, 10_000)(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1.5", "nan", "inf", "1e999", "-inf", "10001", "ten", "0x10", "9" * 400, "9" * 5000, "1 2", "--"],
)
def test_what_is_no_whole_number_within_the_bounds_is_refused(text: str):
    with pytest.raises(argparse.ArgumentTypeError, match="1 to 10,000"):
        whole(1, 10_000)(text)


def test_a_number_is_finite_and_within_its_bounds():
    price = real("a price", 0, 100)
    assert [price(text) for text in ("0", "2.5", "1e2", ".5")] == [0, 2.5, 100, 0.5]
    for text in ("-1e-9", "101", "nan", "inf", "-inf", "", "x", "1,5", "1e400"):
        with pytest.raises(argparse.ArgumentTypeError, match="a price"):
            price(text)
    with pytest.raises(argparse.ArgumentTypeError):
        real("a share", 0, open_below=True)("0")
