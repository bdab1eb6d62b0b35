"""Whether the residuals of a fit say that its law misses something: a lack of fit, or residuals that go with a column.

The rule, as it was written before its error rates were counted: of tables whose law is true 1% may be warned of (LEVEL). All
tests of a table share this evenly (Bonferroni): one of the lack of fit, where rows repeat others, and one of each column
of the law and of the table.

- Lack of fit: the spread of the residuals' means over the points where rows lie, over the spread of rows that repeat one
  point (an F test; with weights, degrees of freedom by Satterthwaite 1946 for noise of one size).
- Columns: normal scores of the residuals (van der Waerden 1952) against what a column adds to the law: normal scores of
  numbers and their squares, an indicator of each label, less what the law's own slopes take up (an F test of added
  variables). Of numbers, and of labels where rows weigh more and less, the less sure counts of this test and of one in which
  rows may be noisier in one place than in another (HC3), with the degrees of freedom of so many rows of equal weight as say
  as much.

Rows that a cluster holds together don't err by themselves: what is tested against columns are then means of clusters, and the
lack of fit is tested only where no cluster lies at two points.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from analysis.fits.fit import FitResult
from analysis.fits.fit_rows import FitRows
from analysis.fits.lack_of_fit import LEAST_LEFT, GroupMeans, LackOfFit, basis, lack_of_fit
from analysis.fits.objective import worth
from analysis.fits.problem import Problem
from analysis.fits.resample import members
from analysis.fits.tested_columns import TestedColumn, of_rows
from analysis.laws.law import Array

LEVEL = 0.01
EXACT = 1e-6  # of the loss: residuals under it are no noise
TAKEN_UP = 0.1  # of a column's length, under which the law has all of it
SHOWN = 3  # columns in a warning


@dataclass(frozen=True)
class ColumnPattern:
    """How residuals go with a column. `p`: of so much by noise alone. `told`: predicted - loss along it, in words."""

    column: str
    p: float
    told: str


@dataclass(frozen=True)
class MisfitCheck:
    """What was tested of one fit.

    Attributes:
        lack: None where too few rows repeat others.
        patterns: of all columns tested. reason: why nothing was tested; None where something was.
        relative: `lack` is of log loss.
    """

    lack: LackOfFit | None
    patterns: tuple[ColumnPattern, ...]
    reason: str | None
    relative: bool

    @property
    def level(self) -> float:
        """Of each test."""
        return LEVEL / max(1, len(self.patterns) + (self.lack is not None))

    @property
    def found(self) -> list[ColumnPattern]:
        """The columns that residuals go with, the surest first."""
        return sorted((own for own in self.patterns if own.p < self.level), key=lambda own: own.p)

    @property
    def warnings(self) -> list[str]:
        told = []
        if self.lack is not None and self.lack.p < self.level:
            noise, beyond = (
                f"{v:.2%} of the loss" if self.relative else f"{v:.3g}" for v in (self.lack.noise, self.lack.beyond)
            )
            told.append(
                f"the law misses more than noise: it is off by {beyond} (σ) beyond the {noise} by which rows at one point differ "
                f"(lack of fit, p = {self.lack.p:.1g})"
            )
        if self.found:
            first, *more = self.found
            names = [own.column for own in more[: SHOWN - 1]]
            names += [f"{len(more) - len(names)} more"] if len(more) > len(names) else []
            also = f"; they go with {', '.join(names)}, too" if names else ""
            told.append(f"residuals go with {first.column} (p = {first.p:.1g}): {first.told}{also}")
        return told

    def as_json(self) -> dict[str, Any]:
        return {
            "level": LEVEL,
            "of_each_test": self.level,
            "lack_of_fit": None if self.lack is None else dataclasses.asdict(self.lack),
            "columns": {own.column: own.p for own in self.patterns},
            "goes_with": [own.column for own in self.found],
            "reason": self.reason,
        }


def check(rows: FitRows, result: FitResult) -> MisfitCheck:
    """Tests the residuals of a fit to `rows`."""
    law, kind = result.law, result.kind
    columns = {name: rows.columns[name] for name in law.columns}
    residual, slopes = Problem(law, columns, rows.loss[None], kind).linearised(result.theta)
    slopes = slopes[:, ~law.at_bound(result.theta)]
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights

    def nothing(reason: str) -> MisfitCheck:
        return MisfitCheck(None, (), reason, kind.logarithmic)

    if not (np.isfinite(slopes).all() and np.isfinite(residual).all()):
        return nothing("the law has no finite slope at some row")
    predicted = result.predict(columns)
    if np.abs(predicted / rows.loss - 1).max() < EXACT:
        return nothing("the law passes through every row")
    if rows.checkpoints():  # without residuals, which go together where the law misses something, too
        return nothing("rows look like checkpoints of one run, and no cluster holds them together")
    member = members(len(rows), rows.clusters)
    units = GroupMeans(member, weights / np.bincount(member)[member])  # of two clusters the larger says no more
    if worth(units.total) - slopes.shape[1] < LEAST_LEFT:
        told = f"{worth(units.total):.3g} rows or clusters for {slopes.shape[1]} parameters"
        return nothing(f"{told}; {LEAST_LEFT} more are needed")
    patterns = _patterns(units, residual, predicted - rows.loss, slopes, of_rows(rows, law, member), law.unit)
    _, point = np.unique(np.stack([columns[name] for name in law.columns]), axis=1, return_inverse=True)
    return MisfitCheck(lack_of_fit(rows.loss, residual, slopes, weights, point.ravel(), member), patterns, None, kind.logarithmic)  # fmt: skip


def _patterns(
    units: GroupMeans, residual: Array, off: Array, slopes: Array, tested: Sequence[TestedColumn], unit: str
) -> tuple[ColumnPattern, ...]:
    root = np.sqrt(units.total)[:, None]
    law = basis(root * units.of(slopes))
    scores = root[:, 0] * _normal_scores(units.of(residual))
    scores = scores - law @ (law.T @ scores)
    found, uneven = [], bool(np.ptp(units.total) > 0)
    for column in tested:
        _, first = np.unique(units.member, return_index=True)  # labels are equal in all rows of a group
        own = units.of(column.values) if column.labels is None else column.values[first]
        added = _added(own, column.labels)
        length = np.linalg.norm(root * (added - np.average(added, axis=0, weights=units.total)), axis=0)
        added = root * added
        added = (added - law @ (law.T @ added)) / np.where(length > 0, length, 1.0)
        directions, size, _ = np.linalg.svd(added, full_matrices=False)
        p = _added_variables(
            scores, law, directions[:, size > TAKEN_UP], worth(units.total), robust=uneven or column.labels is None
        )
        if p is not None:
            found.append(ColumnPattern(column.name, p, _along(units, off, own, column, unit)))
    return tuple(found)


def _added(own: Array, labels: tuple[str, ...] | None) -> Array:
    """What a column may add to a law, (m, k)."""
    if labels is None:
        scores = _normal_scores(own)
        return np.stack([scores, scores**2], axis=1)
    return (own[:, None] == np.arange(1, len(labels))).astype(float)


def _added_variables(scores: Array, law: Array, directions: Array, rows: float, *, robust: bool) -> float | None:
    """The p of an F test of `directions` (m, k) beside those of the law (m, P); None where the law leaves nothing of them.

    Args:
        rows: so many of equal weight say as much as the m.
    """
    count = directions.shape[1]
    left = rows - law.shape[1] - count
    if not count or left < LEAST_LEFT // 2:
        return None
    along = directions.T @ scores
    rest = scores - directions @ along
    p = float(stats.f.sf(along @ along / count / (rest @ rest / left), count, left))
    if robust:
        leverage = (law**2).sum(axis=1) + (directions**2).sum(axis=1)
        moved = directions * (rest / np.maximum(1 - leverage, EXACT))[:, None]
        p = max(p, float(stats.f.sf(along @ np.linalg.pinv(moved.T @ moved) @ along / count, count, left)))
    return p


def _along(units: GroupMeans, off: Array, own: Array, column: TestedColumn, unit: str) -> str:
    """The median predicted - loss along a column."""
    mean = units.of(off)
    if column.labels is not None:
        medians = [_median(mean[own == i], units.total[own == i]) for i in range(len(column.labels))]
        most = int(np.argmax(np.abs(medians)))
        return f"the median of predicted − loss is {medians[most]:+.3g} {unit} where it is {column.labels[most]}"
    low, high = np.quantile(own, [1 / 3, 2 / 3])
    thirds = {"lowest": own <= low, "middle": (own > low) & (own < high), "highest": own >= high}
    told = [f"{_median(mean[o], units.total[o]):+.3g} in its {name}" for name, o in thirds.items() if o.any()]
    return f"the median of predicted − loss is {', '.join(told)} third, {unit}"


def _median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)])


def _normal_scores(values: Array) -> Array:
    return np.asarray(stats.norm.ppf(stats.rankdata(values) / (len(values) + 1)))
