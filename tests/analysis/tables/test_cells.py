"""What people write into cells, and on the command line, as numbers."""

from __future__ import annotations

import math

import pytest

from analysis.tables.cells import Comma, Kind, NoNumber, comma_of, number


@pytest.mark.parametrize(
    ("cell", "kind", "comma", "value"),
    [
        ("1.2B", "count", None, 1.2e9),
        ("350M", "count", None, 350e6),
        ("7b params", "count", None, 7e9),
        ("1.3 T tokens", "count", None, 1.3e12),
        ("1,000", "count", None, 1000.0),
        ("1,234,567.5", "other", None, 1234567.5),
        ("1 000 000", "count", None, 1e6),
        ("1'000", "count", None, 1000.0),
        ("2,34", "loss", None, 2.34),
        ("0,345", "loss", None, 0.345),
        ("2,345", "loss", "decimal", 2.345),
        ("1.234.567,8", "count", None, 1234567.8),
        ("1,5E+09", "count", None, 1.5e9),
        ("80%", "share", None, 0.8),
        ("1_000", "count", None, 1000.0),
        (" 2.5 ", "loss", None, 2.5),
        ("1e400", "count", None, math.inf),
        (10**400, "count", None, math.inf),
        ("−3", "loss", None, -3.0),
    ],
)
def test_a_number_with_one_reading_is_read(cell: object, kind: Kind, comma: Comma | None, value: float) -> None:
    assert number(cell, kind, comma) == value


@pytest.mark.parametrize(
    ("cell", "kind", "comma"),
    [
        ("2,345", "loss", None),  # 2345 or 2.345
        ("1.234", "count", "decimal"),
        ("350M", "loss", None),
        ("80%", "loss", None),
        ("8xA100", "count", None),
        ("12,34,567", "count", None),
        ("0x10", "count", None),
        ("=1+1", "count", None),
        ("diverged", "loss", None),
        (True, "count", None),
        ([1.0], "count", None),
        (b"1", "count", None),
        ("1" * 5000, "count", None),
        ("1 " * 5000, "count", None),
    ],
)
def test_what_is_no_number_or_may_be_two_is_refused(cell: object, kind: Kind, comma: Comma | None) -> None:
    with pytest.raises(NoNumber):
        number(cell, kind, comma)


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "None", "null", "NaN", "#DIV/0!", "#N/A", "-", None, math.nan])
def test_what_stands_for_nothing_is_nan(cell: object) -> None:
    assert math.isnan(number(cell, "loss"))


def test_a_comma_means_one_thing_in_all_of_a_table() -> None:
    assert comma_of(["1,000", "2,5"]) == "decimal"
    assert comma_of(["1,000", "1,000,000", 3.5, None]) == "thousands"
    assert comma_of(["1,000", "text"]) is None
    with pytest.raises(NoNumber, match="'2,5'"):
        comma_of(["1,000,000", "2,5"])
