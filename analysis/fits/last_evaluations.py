"""Tables with several evaluations of a run: the mean of each run's last few becomes its row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from analysis.fits.fit_rows import FitRows
from analysis.laws.law import Array
from analysis.tables import cells, row_ranges
from repro.errors import UserError

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
