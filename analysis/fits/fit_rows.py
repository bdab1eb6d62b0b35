"""Rows of a table as a fit uses them: the weight of each, and whether it is a mean of several evaluations."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from analysis.fits.objective import scaled, worth
from analysis.laws.law import Array
from analysis.tables import cells, row_ranges
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


EXPECTED = "how many, 1 or more; or with the column that orders them, 5:step"
DATA = "D"


@dataclass(frozen=True)
class LastEvaluations:
    """What is asked of a table: the mean of each run's last `count` evaluations, ordered by the column `by`."""

    count: int
    by: str = DATA

    @classmethod
    def of(cls, said: int | str) -> LastEvaluations:
        """Of a number, or of COUNT or COUNT:COLUMN. Raises UserError for what is neither."""
        text, _, by = str(said).partition(":")
        if isinstance(said, bool) or not text.strip().isdecimal() or int(text) < 1 or (":" in str(said) and not by.strip()):  # fmt: skip
            raise UserError("no number of evaluations", key="--last", found=str(said), expected=EXPECTED)
        return cls(int(text), by.strip() or DATA)

    def means(self, rows: FitRows, clusters: str | None) -> FitRows:
        """A row for each run: the mean of its last losses, and in all other columns what its last row says.

        Args:
            clusters: the column that says which rows are of one run.

        Raises:
            UserError: no such column, rows that name no run, runs of fewer evaluations, an order that can't be told.
        """
        if clusters is None or rows.clusters is None:
            raise UserError("which rows are of one run isn't said", key="--last", found=str(self.count), expected="--clusters COLUMN with it")  # fmt: skip
        for cell, row in zip(rows.cells(clusters), rows.numbers, strict=True):
            if cells.is_missing(cell):
                raise UserError(
                    "a row of no run", file=rows.source, key=f"--clusters {clusters}", found=f"nothing in row {row:.0f}",
                    expected=f"the name of its run; or --exclude row={row:.0f}",
                )  # fmt: skip
        place = self._places(rows)
        runs, member = np.unique(rows.clusters, return_inverse=True)
        own = [np.flatnonzero(member == run) for run in range(len(runs))]
        few = [f"{run} has {len(rows_of)}" for run, rows_of in zip(runs, own, strict=True) if len(rows_of) < self.count]
        if few:
            raise UserError(
                f"{len(few)} of {len(runs)} runs have fewer evaluations", file=rows.source, key=f"--last {self.count}",
                found=", ".join(few[:5]), expected="a smaller number, or these runs left out by --exclude",
            )  # fmt: skip
        last = np.empty(len(runs), dtype=np.intp)
        loss = np.empty(len(runs))
        for run, rows_of in enumerate(own):
            order = rows_of[np.argsort(place[rows_of], kind="stable")]
            known = place[order]
            # The last row gives all other columns, and the first that counts parts the means from what was before.
            for i in {len(order) - 1, len(order) - self.count}:
                if i > 0 and known[i] == known[i - 1]:
                    raise UserError(
                        "which evaluation is later can't be told", file=rows.source, key=f"--last {self.count}:{self.by}",
                        found=f"{self.by} {known[i]:g} in rows {rows.numbers[order[i - 1]]:.0f} and {rows.numbers[order[i]]:.0f}, both of {runs[run]}",
                        expected=f"--last {self.count}:COLUMN, of a column that grows with every evaluation",
                    )  # fmt: skip
            last[run], loss[run] = order[-1], rows.loss[order[-self.count :]].mean()
        kept = np.argsort(last)  # in the order of the file
        found = rows.where(last[kept])
        said = {"evaluations": self.count, "by": self.by, "clusters": clusters, "rows": len(rows)}
        return dataclasses.replace(found, loss=loss[kept], warnings=_of_fewer(rows, found), last=said)

    def _places(self, rows: FitRows) -> Array:
        """By what evaluations are ordered, (n,): a column of the law, or any other of the file."""
        if self.by in rows.columns and self.by not in rows.levels:
            return rows.columns[self.by]
        assert rows.raw is not None
        held = rows.names.get(self.by, self.by)
        if self.by == DATA and held not in rows.raw.names:
            raise UserError("by what evaluations are ordered isn't said", key=f"--last {self.count}", found="no column D", expected=f"--last {self.count}:COLUMN")  # fmt: skip
        key = f"--last {self.count}:{self.by}"
        rows.raw.column(held, key)
        fault = "no number in the column that orders evaluations"
        return rows.counts(held, UserError(fault, file=rows.source, key=key, expected="a number in every row"))


def _of_fewer(before: FitRows, after: FitRows) -> tuple[str, ...]:
    """The warnings of a table, those of where its rows lie told again of the rows that are left."""

    def of_rows(rows: FitRows) -> list[str]:
        return row_ranges.of_rows(*row_ranges.spans({n: v for n, v in rows.columns.items() if n not in rows.levels}))

    gone = of_rows(before)
    return (*(text for text in before.warnings if text not in gone), *of_rows(after))
