"""Columns by formulas and units: numbers as by hand, and an error for whatever else is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.laws.registry import CHINCHILLA
from analysis.tables import table
from analysis.verbs.table_arguments import columns_given
from repro.errors import UserError
from tests.analysis.points import ROWS, csv

WIDTH = 64
ROWS_IN_UNITS = [
    {"params": r["N"] / 1e6, "width": WIDTH, "tokens": r["D"] / 1e9, "nats": r["loss"], "a:M": 1.0, "quoted:M": r["N"]}
    for r in ROWS
]


def read(folder: Path, words: str, rows: list[dict] | None = None, exclude: Sequence[str] = ()) -> table.Table:
    file = csv(folder, ROWS_IN_UNITS if rows is None else rows)
    return table.read(file, [CHINCHILLA], columns=columns_given([words]), exclude=exclude)


def test_units_and_formulas_give_the_columns_of_the_law(tmp_path: Path) -> None:
    found = read(tmp_path, "N=params:M,D=tokens:B,loss=nats")
    np.testing.assert_allclose(found.columns["N"], [r["N"] for r in ROWS], rtol=1e-12)
    np.testing.assert_allclose(found.columns["D"], [r["D"] for r in ROWS], rtol=1e-12)
    found = read(tmp_path, "N=1e6*params - 504*width,D=max(tokens, (tokens - 1)):B,loss=log(exp(nats))")
    np.testing.assert_allclose(found.columns["N"], [r["N"] - 504 * WIDTH for r in ROWS], rtol=1e-12)
    np.testing.assert_allclose(found.loss, [r["loss"] for r in ROWS], rtol=1e-12)


def test_a_column_that_is_called_so_is_the_column(tmp_path: Path) -> None:
    for name in ("quoted:M", '"quoted:M"'):
        np.testing.assert_allclose(
            read(tmp_path, f"N={name},D=tokens:B,loss=nats").columns["N"], [r["N"] for r in ROWS]
        )
    with pytest.raises(UserError, match="no such column"):
        read(tmp_path, 'N="params:M",D=tokens:B,loss=nats')


def test_conditions_go_by_the_derived_numbers(tmp_path: Path) -> None:
    found = read(tmp_path, "N=params:M,D=tokens:B,loss=nats", exclude=["N>1e6"])
    assert len(found) == sum(r["N"] <= 1e6 for r in ROWS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("N=params:m,D=tokens:B,loss=nats", "an unknown unit"),
        ("N=params:Mi,D=tokens:B,loss=nats", "k, M, B, T"),
        ("N=missing:M,D=tokens:B,loss=nats", "an unknown column"),
        ("N=params - 3*widht,D=tokens:B,loss=nats", "an unknown column\n.*\n.*\n  found:    widht"),
        ("N=params[width]*2,D=tokens:B,loss=nats", "a group in a column"),
        ("N=2*3,D=tokens:B,loss=nats", "a formula without a column"),
        ("N=__import__('os'),D=tokens:B,loss=nats", "neither a column nor a formula"),
        ("N=eval(params),D=tokens:B,loss=nats", "neither a column nor a formula"),
        ("N=params -,D=tokens:B,loss=nats", "neither a column nor a formula"),
    ],
)
def test_what_is_neither_is_an_error(words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, words)
    assert main(["fit", csv(tmp_path, ROWS_IN_UNITS), "--law", "chinchilla", "--columns", words]) == 2
    assert capsys.readouterr().out == ""


def test_a_cell_that_is_no_number_is_an_error_where_its_row_is_read(tmp_path: Path) -> None:
    rows = [*ROWS_IN_UNITS, ROWS_IN_UNITS[0] | {"params": "350M"}, ROWS_IN_UNITS[0] | {"params": ""}]
    with pytest.raises(UserError, match="'350M' of params in row 13"):
        read(tmp_path, "N=params:M,D=tokens:B,loss=nats", rows)
    found = read(tmp_path, "N=params:M,D=tokens:B,loss=nats", rows, exclude=["row=13"])
    assert (len(found), [flag.row for flag in found.flags]) == (12, [13, 14])
    found = read(tmp_path, "N=params - width + width,D=tokens:B,loss=nats", rows)  # 350M is a number of parameters
    assert found.columns["N"][-1] == 350e6


def test_a_formula_without_a_finite_value_leaves_its_row_out(tmp_path: Path) -> None:
    rows = [*ROWS_IN_UNITS, ROWS_IN_UNITS[0] | {"width": 0}]
    found = read(tmp_path, "N=params/width,D=tokens:B,loss=nats", rows)
    assert [(flag.row, flag.excluded) for flag in found.flags] == [(13, True)]
