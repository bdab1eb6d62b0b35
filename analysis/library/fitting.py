"""Laws on any table, in Python: one that is fitted, or several that are compared."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack, overload

from analysis.fits import fit_text, optimal, predicted, table_comparison, table_fit
from analysis.fits.fit_rows import FitRows
from analysis.fits.objective import Objective
from analysis.fits.out_of_sample import Judged
from analysis.fits.outcome import Interval
from analysis.fits.predicted import Predicted
from analysis.fits.table_comparison import TableComparison
from analysis.fits.table_fit import TableFit
from analysis.laws.formulas.formula import FormulaLaw
from analysis.laws.law import Law
from analysis.library.answer import Answer, GroupedAnswers, Plot, answered, for_python, in_python, plotted
from analysis.library.reading import AnyLaw, as_table, check, law_of, notes_of, rows_of, told
from analysis.shown import plain_json
from analysis.tables.cell_table import listed
from repro.errors import UserError


class FittedLaw(Answer[TableFit]):
    """A law fitted to a table. `inner`: the fit itself, with its rows and resamples."""

    @property
    def law(self) -> Law:
        return self.inner.result.law

    @property
    def params(self) -> dict[str, float]:
        """Parameters by name, including those that are fixed or tied."""
        law, found = self.law, self.inner.result.parameters
        return found | law.written.given(found) if isinstance(law, FormulaLaw) else dict(found)

    @property
    def status(self) -> str:
        """`converged`, `bound_hit` or `max_iter`."""
        return self.inner.result.status

    @for_python
    def interval(self, name: str) -> Interval | None:
        """The 95% interval of a parameter: from the bootstrap if there is one, else from the profile; None if neither exists.

        Raises:
            UserError: a name that isn't one of a fitted parameter.
        """
        found = self.inner.intervals
        if name not in found:
            raise UserError("no such fitted parameter", key="name", found=name, expected=listed(list(found), like=name))
        return found[name]

    @for_python
    def predict(self, **columns: float | str) -> Predicted:
        """The loss at a point, by the law's columns: `predict(N=7e9, D=1e12)`.

        Raises:
            UserError: other columns than the law's, what is no number, a label that the fit hasn't seen.
        """
        found = predicted.wanted_of([f"{name}={value}" for name, value in columns.items()], self.law)
        return predicted.loss_at(self.inner.saved, found)

    @for_python
    def best(self, C: float) -> dict[str, Any]:
        """The size and tokens of least loss for `C` training FLOP, as `predict C=… --json` prints them.

        Raises:
            UserError: no positive number, or a law without a size and tokens.
        """
        saved = self.inner.saved
        answer, warnings = optimal.answer(saved, predicted.wanted_of([f"C={C}"], self.law)["C"])
        told = dict.fromkeys([*predicted.doubts(saved), *warnings])
        found: dict[str, Any] = plain_json(answer | {"warnings": list(told)})
        return found

    def plot(self, path: str | os.PathLike[str] | None = None) -> Plot:
        """Predicted against actual losses, and the residuals over each column; written to `path`, .png, .pdf or .svg."""
        from analysis.figures import fit_errors

        return plotted(fit_errors, self.inner, path)

    def _body(self) -> str:
        shown = self.inner.as_json()
        table = "".join(
            f"<tr><th>{_escaped(name)}</th><td>{value:.6g}</td><td>{_escaped(fit_text.interval_of(name, shown))}</td></tr>"
            for name, value in shown["parameters"].items()
        )
        head, tail = (
            "<br>".join(map(_escaped, part))
            for part in (fit_text.head(self.law, shown), fit_text.tail(self.law, shown))
        )
        return f"<p>{head}</p><table>{table}</table><p>{tail}</p>"


def _escaped(text: str) -> str:
    return html.escape(in_python(text.strip()))


class FitOptions(TypedDict, total=False):
    """What `fit` takes beside a table, a law and groups; see there."""

    bootstrap: int
    holdout: str | None
    objective: str
    delta: float | None
    sigma: float | None
    fix: Mapping[str, float] | None
    tie: Mapping[str, str] | None
    bounds: Mapping[str, tuple[float, float]] | None


@overload
def fit(table: Any, law: AnyLaw, *, by: None = None, **options: Unpack[FitOptions]) -> FittedLaw: ...


@overload
def fit(table: Any, law: AnyLaw, *, by: str, **options: Unpack[FitOptions]) -> GroupedAnswers[FittedLaw]: ...


@for_python
def fit(
    table: Any,
    law: AnyLaw,
    *,
    bootstrap: int = 0,
    holdout: str | None = None,
    objective: str = "huber_log",
    delta: float | None = None,
    sigma: float | None = None,
    fix: Mapping[str, float] | None = None,
    tie: Mapping[str, str] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    by: str | None = None,
) -> FittedLaw | GroupedAnswers[FittedLaw]:
    """Fits a law to a table, or to each group of its rows.

    Args:
        table: what `read` gave, or what it takes.
        law: a registered name, a formula, a law file (.yaml), a saved fit of a formula (.json), or a law itself.
        bootstrap: resamples behind intervals and bands; 0 leaves them out.
        holdout: which rows are held out, `largest:N`, `share:0.2:D` or `N>1e9`; None leaves errors on them out.
        objective: huber_log, huber, lad or wls. delta: its threshold.
        sigma: the seeds' standard deviation in nats, for few rows or clusters.
        fix, tie, bounds: what is said of a formula's parameters.
        by: a column whose equal cells are a group; then one fit for each.

    Raises:
        UserError: everything that the command `fit` refuses.
    """
    check(bootstrap, sigma)
    kind, asked = Objective.of(objective, delta), as_table(table)
    rows, [found] = rows_of(asked, [told(law_of(law), fix, tie, bounds)], holdout)

    def fitted(own: FitRows) -> TableFit:
        return table_fit.fit_rows(
            found, own, kind, resamples=bootstrap, rule=holdout, sigma=sigma, clustered=asked.clusters is not None
        )

    return answered(rows, by, fitted, FittedLaw, notes_of(asked, rows), table_fit.lines_of_groups)


class ComparedLaws(Answer[TableComparison]):
    """Laws on the same held-out rows. `inner`: the comparison itself."""

    @property
    def laws(self) -> dict[str, Judged]:
        """The result of each law, by its name."""
        return {own.law: own for own in self.inner.found.judged}


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
