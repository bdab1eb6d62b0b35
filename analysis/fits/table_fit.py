"""Fits one law to the rows of a table, with notes and warnings: what `fit` prints and saves, and the library returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fits import fit_text, holdout, misfit, out_of_sample, resample, saved_fit
from analysis.fits.fit import FitResult, fit, information
from analysis.fits.fit_rows import FitRows
from analysis.fits.misfit import MisfitCheck
from analysis.fits.objective import Objective
from analysis.fits.outcome import Interval
from analysis.fits.profiles import Profile, profile
from analysis.fits.resample import Draws
from analysis.fits.saved_fit import SavedFit
from analysis.laws.law import Columns, Law
from analysis.tables import cells, row_flags
from analysis.tables.row_ranges import RowRanges
from analysis.tables.table import Table

SAVED = 200  # resampled parameters kept in a saved fit, for the bands of its predictions


@dataclass(frozen=True)
class TableFit:
    """A law fitted to the rows of a table.

    Attributes:
        drawn: None without a bootstrap.
        misfit: whether residuals say that the law misses something.
        held_out: errors on held-out rows; None where none were asked for.
        sigma: the seeds' standard deviation in nats, where it was given.
        clustered: rows were asked to be drawn together.
    """

    rows: FitRows
    result: FitResult
    profile: Profile
    drawn: Draws | None
    misfit: MisfitCheck
    held_out: dict[str, Any] | None
    sigma: float | None
    clustered: bool

    @property
    def columns(self) -> Columns:
        """Those of the law, (n,) each."""
        return {name: self.rows.columns[name] for name in self.result.law.columns}

    @property
    def intervals(self) -> dict[str, Interval | None]:
        """95% intervals of the parameters: of the bootstrap where there is one, else profile intervals."""
        return self.profile.intervals if self.drawn is None else self.drawn.interval()

    @property
    def saved(self) -> SavedFit:
        """What is predicted from, the same as from a file."""
        ranges = RowRanges.of(self.result.law, self.columns, self.rows.loss, _sparsity(self.rows))
        draws = None if self.drawn is None else np.array(_some(self.drawn.theta))
        return SavedFit(self.result, ranges, draws)

    @property
    def warnings(self) -> list[str]:
        residual = np.log(self.result.predict(self.columns)) - np.log(self.rows.loss)
        found = [
            *self.rows.warnings,
            *self.rows.checkpoints(residual),
            *self.result.doubts,
            *self.misfit.warnings,
        ]
        if self.clustered and self.drawn is None and self.rows.last is None:
            found.append("profile intervals take each row by itself; --bootstrap draws --clusters as wholes")
        return found + resample.unused_sigma(self.sigma, self.drawn.method if self.drawn else None)

    def lines(self) -> list[str]:
        return fit_text.lines(self.result.law, self.as_json())

    def as_json(self) -> dict[str, Any]:
        loss, predicted, saved = self.rows.loss, self.result.predict(self.columns), self.saved
        weights = self.rows.weights
        assert saved.rows is not None
        shown: dict[str, Any] = saved_fit.as_json(self.result) | {
            "source": self.rows.source,
            **row_flags.as_json(self.rows.flags),
            **saved_fit.rows_as_json(saved.rows),
            **self.rows.as_json(),
            "mean_abs_error": float(np.average(np.abs(predicted - loss), weights=weights)),
            "mean_relative_error": float(np.average(np.abs(predicted / loss - 1), weights=weights)),
            "sigma": self.sigma,
            "information": dataclasses.asdict(information(self.result, self.columns, loss, weights)),
            "profile": self.profile.intervals,
            "profile_reason": self.profile.reason,
            "misfit": self.misfit.as_json(),
        }
        if self.drawn is not None:
            shown |= {
                "intervals": self.drawn.interval(),
                "bootstrap": {
                    "method": self.drawn.method,
                    "resamples": len(self.drawn.theta),
                    "units": self.drawn.clusters,
                    "at_bound": self.drawn.at_bound,
                },
                "draws": _some(self.drawn.theta),
            }
        if self.held_out is not None:
            shown["held_out"] = self.held_out
        return shown | {"warnings": self.warnings}


def fit_rows(
    law: Law,
    rows: FitRows,
    objective: Objective = Objective(),
    *,
    resamples: int = 0,
    rule: str | None = None,
    sigma: float | None = None,
    clustered: bool = False,
) -> TableFit:
    """Fits `law`.

    Args:
        resamples: of the bootstrap; 0 leaves it out. rule: by which rows are held out. sigma: of a loss over seeds, nats.
        clustered: somebody asked for rows to be drawn together.

    Raises:
        UserError: see `fit`, `bootstrap` and `holdout`.
    """
    columns = {name: rows.columns[name] for name in law.columns}
    result = fit(law, columns, rows.loss, objective, weights=rows.weights)
    profiled = profile(result, columns, rows.loss, weights=rows.weights)
    drawn = None
    if resamples:
        drawn = resample.bootstrap(
            result, columns, rows.loss, resamples=resamples, rng=np.random.default_rng(0), clusters=rows.clusters,
            sigma=sigma, weights=rows.weights,
        )  # fmt: skip
    held = None
    if rule:
        found = out_of_sample.judge([law], rows, holdout.split(rows, rule), result.kind, weights=rows.weights)
        held = {
            "rule": rule,
            "mean_abs_error": found.judged[0].held_out,
            "mean_relative_error": found.judged[0].relative,
            "best_seen": found.best_seen,
        }
    return TableFit(rows, result, profiled, drawn, misfit.check(rows, result), held, sigma, clustered)


def lines_of_groups(by: str, found: Mapping[str, TableFit]) -> list[str]:
    """A line for each group's fit of one law."""
    law = next(iter(found.values())).result.law
    wide = max(len(by), *map(len, found))
    lines = [
        f"{fit_text.left_side(law)} = {law.formula}   (one fit for each {by}; --json has all)",
        f"  {by:<{wide}} {'rows':>6} {'relative':>9} {'status':>10} " + " ".join(f"{n:>12}" for n in law.names),
    ]
    for label, one in found.items():
        values = " ".join(f"{value:>{max(12, len(n))}.6g}" for n, value in one.result.parameters.items())
        off = one.as_json()["mean_relative_error"]
        lines.append(f"  {label:<{wide}} {one.result.n_rows:>6} {off:>9.2%} {one.result.status:>10} {values}")
    return lines


def _sparsity(rows: Table) -> np.ndarray | None:
    """Of each row, where the table tells it in a column that can be read."""
    name = rows.names.get("S", "S")
    if "S" in rows.columns or rows.raw is None or rows.raw.names.count(name) != 1:
        return rows.columns.get("S")
    try:
        found = np.array([cells.number(cell, "share", rows.raw.comma) for cell in rows.cells(name)])
    except cells.NoNumber:
        return None
    return found if np.all((found >= 0) & (found < 1)) else None


def _some(theta: np.ndarray) -> list[list[float]]:
    """As many of the resampled parameters (R, P) as a file keeps, those that are numbers."""
    known = theta[np.isfinite(theta).all(axis=1)]
    some: list[list[float]] = known[:: max(1, len(known) // SAVED)][:SAVED].tolist()
    return some
