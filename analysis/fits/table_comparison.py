"""Compares laws on rows of a table, with notes and warnings: what `compare` prints and the library returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fits import holdout, out_of_sample, resample, saved_fit
from analysis.fits.fit_rows import FitRows
from analysis.fits.objective import Objective
from analysis.fits.out_of_sample import OutOfSample
from analysis.laws.law import Law


@dataclass(frozen=True)
class TableComparison:
    """Laws on the same held-out rows of a table.

    Attributes:
        rule: by which rows are held out.
        sigma: the seeds' standard deviation in nats, where it was given.
    """

    rows: FitRows
    rule: str
    found: OutOfSample
    sigma: float | None

    @property
    def warnings(self) -> list[str]:
        judged, drawn = self.found.judged, self.found.resampled
        residual = np.log(judged[0].fit.predict(self.rows.columns)) - np.log(self.rows.loss)
        found = [*self.rows.warnings, *self.rows.checkpoints(residual)]
        found += [f"{own.law}: {text}" for own in judged for text in own.fit.doubts]
        return found + resample.unused_sigma(self.sigma, drawn.method if drawn else None)

    def as_json(self) -> dict[str, Any]:
        drawn = self.found.resampled
        return {
            "holdout": self.rule,
            "rows": self.found.rows.tolist(),
            "bootstrap": dataclasses.asdict(drawn) if drawn else None,
            "laws": [
                vars(own)
                | {
                    "fit": saved_fit.as_json(own.fit),
                    "information": dataclasses.asdict(own.information),
                    "residuals": own.residuals.tolist(),
                }
                for own in self.found.judged
            ],
            "best_seen": self.found.best_seen,
            **self.rows.as_json(),
            "warnings": self.warnings,
        }

    def lines(self) -> list[str]:
        judged, drawn = self.found.judged, self.found.resampled
        width = max(24, *(len(own.law) for own in judged))
        lines = [
            f"held out: {', '.join(s.name for s in self.found.splits)} ({len(self.found.rows)} of {len(self.rows)} rows); "
            f"errors in {judged[0].fit.law.unit}",
            *(f"  {text}" for text in self.rows.said()),
            f"  {'law':<{width}} {'in sample':>10} {'held out':>10} {'relative':>9} {'AICc':>10} {'BIC':>10}   "
            f"{judged[0].law} is",
        ]
        for j in judged:
            less = "" if j.less is None else f"{j.less:+.5f} {_bracket(j.less_interval)} {j.outcome}"
            lines.append(
                f"  {j.law:<{width}} {j.in_sample:>10.5f} {j.held_out:>10.5f} {j.relative:>9.2%} "
                f"{j.information.aicc:>10.1f} {j.information.bic:>10.1f}   "
                f"{less}{f': {j.reason}' if j.outcome == 'no interval' else ''}"
            )
        lines.append(f"  {out_of_sample.beside(self.found.best_seen)}")
        lines += [
            f"  {j.law}: fitted to all rows, {' and '.join(j.fit.bounds_hit)} ends at a bound"
            for j in judged
            if j.fit.bounds_hit
        ]
        if drawn and drawn.redrawn:
            lines.append(
                f"  {drawn.redrawn} draws held no row to fit or none to judge on: left out, and drawn again "
                f"({drawn.held_out_units} of {drawn.units} rows or clusters are held out)"
            )
        return lines


def compare_on(
    laws: Sequence[Law],
    rows: FitRows,
    objective: Objective = Objective(),
    *,
    rule: str | None = None,
    resamples: int = 0,
    sigma: float | None = None,
) -> TableComparison:
    """Tests `laws` on held-out rows, and compares the first with each of the others.

    Args:
        rule: by which rows are held out; None holds out the largest of the first law's first column.
        resamples: of the bootstrap; 0 leaves intervals out. sigma: of a loss over seeds, nats.

    Raises:
        UserError: see `holdout.split` and `out_of_sample.judge`.
    """
    rule = rule or f"largest:{laws[0].columns[0]}"
    found = out_of_sample.judge(
        laws, rows, holdout.split(rows, rule), objective,
        resamples=resamples, rng=np.random.default_rng(0), sigma=sigma, weights=rows.weights,
    )  # fmt: skip
    return TableComparison(rows, rule, found, sigma)


def _bracket(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:+.5f}, {interval[1]:+.5f}]"
