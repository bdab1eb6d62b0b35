"""Comparison of laws on any table, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.fits import table_comparison
from analysis.fits.objective import Objective
from analysis.fits.out_of_sample import Judged
from analysis.fits.table_comparison import TableComparison
from analysis.library.answer import Answer
from analysis.library.asking import AnyLaw, check, law_of, notes_of, rows_of
from analysis.library.reading import as_table
from analysis.library.words import for_python
from repro.errors import UserError


@dataclass(frozen=True, repr=False)
class ComparedLaws(Answer):
    """Laws on the same held-out rows. `inner`: the comparison itself."""

    inner: TableComparison
    notes: tuple[str, ...]

    @property
    def laws(self) -> dict[str, Judged]:
        """The result of each law, by its name."""
        return {own.law: own for own in self.inner.found.judged}

    def lines(self) -> list[str]:
        return self.inner.lines()


@for_python
def compare(
    table: Any,
    laws: Sequence[AnyLaw],
    *,
    holdout: str | None = None,
    bootstrap: int = 0,
    objective: str = "huber_log",
    delta: float | None = None,
    sigma: float | None = None,
) -> ComparedLaws:
    """Compares the first law with each of the others, on rows that none was fitted to.

    Args:
        table: what `read` gave, or what it takes. laws: each as `fit` takes it.
        holdout: which rows are held out; None holds out the largest of the first law's first column.
        bootstrap, objective, delta, sigma: as for `fit`.

    Raises:
        UserError: everything that the command `compare` refuses.
    """
    check(bootstrap, sigma)
    if isinstance(laws, str):
        raise UserError("not several laws", key="laws", found=laws, expected="a list")
    kind, asked = Objective.of(objective, delta), as_table(table)
    rows, found = rows_of(asked, [law_of(law) for law in laws], holdout)
    inner = table_comparison.compare_on(found, rows, kind, rule=holdout, resamples=bootstrap, sigma=sigma)
    return ComparedLaws(inner, notes_of(asked, rows))
