"""Rows of a table as a fit uses them: the weight of each, and whether it is a mean of several evaluations."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from analysis.fits.weights import scaled, worth
from analysis.laws.law import Array
from analysis.tables import cells
from analysis.tables.table import Table
from repro.errors import UserError


@dataclass(frozen=True)
class FitRows(Table):
    """Rows that can be fitted.

    Attributes:
        weights: each row's share of the objective, times the number of rows, (n,): their mean is 1. None: all alike.
        weighed_by: the column that says so.
        last: of how many evaluations, ordered by what, each loss is the mean, and how many rows there were, as it is saved; None: of one.
    """

    weights: Array | None = None
    weighed_by: str | None = None
    last: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, table: Table) -> FitRows:
        """The same rows, all alike."""
        return cls(**{own.name: getattr(table, own.name) for own in dataclasses.fields(table)})

    def where(self, chosen: np.ndarray) -> Self:
        """The rows of a mask. Their weights have a mean of 1 again."""
        weights = None if self.weights is None else scaled(self.weights[chosen])
        return dataclasses.replace(super().where(chosen), weights=weights)

    def weighed(self, column: str) -> FitRows:
        """The same rows, each with the weight that stands in a column of the file.

        Raises:
            UserError: no such column, or a weight that is no positive, finite number.
        """
        assert self.raw is not None
        self.raw.column(column, "--weights")
        fault = UserError(
            "not a weight", file=self.source, key=f"--weights {column}",
            expected="more than 0, and finite; a row that is to count for nothing is left out by --exclude",
        )  # fmt: skip
        return dataclasses.replace(self, weights=scaled(self.counts(column, fault, over=0.0)), weighed_by=column)

    def counts(self, column: str, fault: UserError, over: float = -math.inf) -> Array:
        """The numbers (n,) in a column of the file. Raises `fault`, with the cell, for one that isn't finite and over a bound."""
        assert self.raw is not None
        own = self.cells(column)
        comma = self.raw.comma_in(own, fault.key)
        found = np.array([cells.number_or_nan(cell, "count", comma) for cell in own])
        for i in np.flatnonzero(~(np.isfinite(found) & (found > over)))[:1]:
            told = "nothing" if cells.is_missing(own[i]) else cells.shown(own[i])
            raise fault.but(found=f"{told} in row {self.numbers[i]:.0f}")
        return found

    def as_json(self) -> dict[str, Any]:
        """What was asked of the rows, as a fit is saved; nothing where nothing was."""
        last = {} if self.last is None else {"last": dict(self.last)}
        if self.weights is None:
            return last
        return last | {"weights": {"column": self.weighed_by, "worth_rows": worth(self.weights)}}

    def said(self) -> list[str]:
        """The same as a reader sees it, a line each."""
        return said(self.as_json(), len(self))


def said(shown: Mapping[str, Any], rows: int) -> list[str]:
    """What was asked of the rows, a line each; `shown` is what is saved of it, and of a fit."""
    found = []
    if "last" in shown:
        own = shown["last"]
        many = (
            "the last evaluation"
            if own["evaluations"] == 1
            else f"the mean of the last {own['evaluations']} evaluations"
        )
        found.append(
            f"a loss is {many} of a run ({own['clusters']}) by {own['by']}; {own['rows']} rows were {rows} runs"
        )
    if "weights" in shown:
        own = shown["weights"]
        found.append(f"weights by {own['column']}, in every mean too: as informative as {own['worth_rows']:.3g} of {rows} rows of equal weight")  # fmt: skip
    return found
