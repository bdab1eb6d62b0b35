"""Conditions that leave rows out: one meaning, or a refusal; and never nothing, in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.laws.registry import CHINCHILLA
from analysis.tables import conditions, readers, table
from analysis.tables.cell_table import CellTable
from repro.errors import UserError
from tests.analysis.points import ROWS, csv


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> CellTable:
    """Six rows of every kind of cell."""
    file = tmp_path_factory.mktemp("cells") / "cells.parquet"
    pq.write_table(
        pa.table(
            {
                "N": [5e7, 1e8, 1e8 + 1, 49999999.99999999, 2e9, None],
                "S": pa.array([0.1, 0.8, 0.8, 0.7999, 0.3, None], pa.float32()),
                "size": ["17k", "17K", "50M", "a b", "x=y", None],
                "pruned": [True, False, True, False, True, None],
                "text": ["1", "diverged", "3", "", "5", "nan"],
                "val loss": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                "tags": [["a"], ["a", "b"], [], ["c"], None, ["b"]],
            }
        ),
        file,
    )
    return readers.read(str(file))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("N == 5e7", [1, 4]),  # as they are printed
        ("N=5e7", [1, 4]),
        ("N = 50M", [1, 4]),
        ("N=50000000, 2e9", [1, 4, 5]),
        ("N=100000000", [2]),
        ("N <> 5e7", [2, 3, 5, 6]),
        ("N ≠ 5e7", [2, 3, 5, 6]),
        ("N≥1e8", [2, 3, 5]),
        ("N>100000000", [3, 5]),
        ("N<=5e7", [1, 4]),
        ("N!=5e7,2e9", [2, 3, 6]),
        ("N=nan", [6]),
        ("S=0.8", [2, 3]),  # a float32
        ("S>=80%", [2, 3]),
        ("S>0.8", []),
        ("size=17k", [1]),
        ("size == '17k'", [1]),
        ('"size" = "a b"', [4]),
        ("size='x=y'", [5]),
        ("size=NA", [6]),
        ("pruned=true", [1, 3, 5]),
        ("pruned==0", [2, 4]),
        ("text=diverged", [2]),
        ("text>2", [3, 5]),
        ("text=''", [4, 6]),
        ('"val loss" > 4', [5, 6]),
        ("`val loss`<2", [1]),
        ("tags=a", [1, 2]),
        ("row=2,4", [2, 4]),
        ("row>4", [5, 6]),
        ("row != 1", [2, 3, 4, 5, 6]),
    ],
)
def test_a_condition_means_what_it_says(text: str, rows: list[int], raw: CellTable) -> None:
    met, none = conditions.meets(conditions.parse(text), raw, {})
    assert list(np.flatnonzero(met) + 1) == rows
    assert (none is None) == bool(rows)


@pytest.mark.parametrize(
    "text",
    [
        "N", "N=", "=5", "N 5e7", "N=>5", "N=<5", "N === 5", "N=!5", "N~5", "!N=5", "not N=5", "N>1e8 and S<0.5",
        "N>1e8 && S<1", "N=1e8 or N=2e8", "1e7<N<1e8", "N=1e8;S=0", "N>1e8,2e8", "N=50,000,000", "N in 5e7", "N between 1, 2",
        "N=1e8,", "N=many", "N>many", "tags>3", "pruned=maybe", "nosuch=1", "n=5e7", "row=x", "row=1-4", "N='5e7", "",
    ],
)  # fmt: skip
def test_what_cant_be_read_is_refused(text: str, raw: CellTable) -> None:
    with pytest.raises(UserError, match=r"--exclude"):
        conditions.meets(conditions.parse(text), raw, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [("N=6e7", "nearest N is 50000000"), ("size=17kk", "size holds 17k"), ("N>1e10", "from 5"), ("row=99", "6 rows")],
)
def test_a_condition_that_no_row_meets_is_mentioned(text: str, told: str, raw: CellTable) -> None:
    met, none = conditions.meets(conditions.parse(text), raw, {})
    assert not met.any()
    assert none is not None
    assert text in none
    assert told in none


def test_a_condition_goes_by_the_laws_name_too_and_not_by_either_of_two(tmp_path: Path) -> None:
    rows = [{"params": r["N"], "D": r["D"], "loss": r["loss"]} for r in ROWS]
    found = table.read(csv(tmp_path, rows), [CHINCHILLA], columns={"N": "params"}, exclude=["N == 1e6"])
    assert len(found) == 9
    file = csv(tmp_path, [r | {"N": 7} for r in rows], "both.csv")
    with pytest.raises(UserError, match="two meanings"):
        table.read(file, [CHINCHILLA], columns={"N": "params"}, exclude=["N == 1e6"])
