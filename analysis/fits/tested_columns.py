"""The columns of a table that residuals are tested against: those of the law, and all others that hold numbers or labels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.fits.fit_rows import FitRows
from analysis.laws.law import Array, Law
from analysis.tables import cells

MOST_LABELS = 20
ROWS_A_LABEL = 4  # at least, on average
OUTCOME = re.compile(r"(^|[^a-z])(loss|ppl|perplexity|nll|bpb|bpc|acc|accuracy|err|error)([^a-z]|$)")
SAME = 0.99  # rank correlation with the loss, from which a column is taken for another measure of it


@dataclass(frozen=True)
class TestedColumn:
    """A column of numbers (n,), or of the numbers of `labels`."""

    name: str
    values: Array
    labels: tuple[str, ...] | None


def of_rows(rows: FitRows, law: Law, member: NDArray[np.intp]) -> list[TestedColumn]:
    """The columns of the law, then those of the file; of several that order or part rows alike, the first.

    Left out are other measures of the loss, by name or by rank, numbers of which some are missing, columns with a label
    for fewer than four rows or clusters, and labels that differ within a cluster.

    Args:
        member: the cluster of each row, (n,).
    """
    found: dict[bytes, TestedColumn] = {}

    def keep(column: TestedColumn | None) -> None:
        if column is not None:
            found.setdefault(_key(column), column)

    units = int(member.max()) + 1
    for name in law.columns:
        if name in law.levels:
            keep(_of_labels(name, [law.levels[name][int(i)] for i in rows.columns[name]], member, units))
        else:
            keep(_of_numbers(name, rows.columns[name], member, units))
    if rows.raw is None:
        return list(found.values())
    taken = {rows.names.get(name, name) for name in (*law.columns, "loss")} | {rows.weighed_by}
    ranked = stats.rankdata(rows.loss)
    for name in rows.raw.names:
        if name in taken or rows.raw.names.count(name) > 1:
            continue
        own = rows.cells(name)
        numbers = _numbers(own, rows.raw.comma)
        if numbers is None:
            keep(_of_labels(name, own, member, units))
        elif np.isfinite(numbers).all() and np.ptp(numbers) > 0 and not _of_outcome(name, numbers, ranked):
            keep(_of_numbers(name, numbers, member, units))
    return list(found.values())


def _of_outcome(name: str, numbers: Array, ranked: Array) -> bool:
    """Whether numbers are another measure of the loss, whose ranks (n,) are given."""
    found = np.corrcoef(stats.rankdata(numbers), ranked)[0, 1]
    return OUTCOME.search(name.lower()) is not None or abs(float(found)) >= SAME


def _numbers(own: Sequence[Any], comma: cells.Comma | None) -> Array | None:
    """The cells as numbers, nan where one is missing; None where one is something else, they are of two kinds, or all are missing."""
    try:
        comma = cells.comma_of(own) or comma
        found = np.array([cells.number(cell, "count", comma) for cell in own])
    except cells.NoNumber:
        return None
    return None if np.isnan(found).all() else found


def _of_numbers(name: str, values: Array, member: NDArray[np.intp], units: int) -> TestedColumn | None:
    """Two numbers are labels."""
    several = np.unique(values)
    if len(several) == 2:
        return _of_labels(name, [f"{value:g}" for value in values], member, units)
    return TestedColumn(name, values, None) if len(several) > 2 else None


def _of_labels(name: str, own: Sequence[Any], member: NDArray[np.intp], units: int) -> TestedColumn | None:
    if any(not (isinstance(cell, (str, bool)) or cells.is_missing(cell)) for cell in own):
        return None
    texts = np.array(["nothing" if cells.is_missing(cell) else str(cell).strip() for cell in own], dtype=object)
    labels, numbers = np.unique(texts, return_inverse=True)
    if not 2 <= len(labels) <= min(MOST_LABELS, math.floor(units / ROWS_A_LABEL)):
        return None
    if len(np.unique(np.stack([member, numbers]), axis=1).T) > units:
        return None
    return TestedColumn(name, numbers.astype(float), tuple(map(str, labels)))


def _key(column: TestedColumn) -> bytes:
    """What columns share that order rows alike, in either direction, or part them alike."""
    if column.labels is not None:
        _, first, at = np.unique(column.values, return_index=True, return_inverse=True)
        return b"labels" + np.argsort(np.argsort(first))[at].astype(np.int64).tobytes()
    ranks = stats.rankdata(column.values, "dense")
    ranks = ranks if ranks[0] <= ranks.max() + 1 - ranks[0] else ranks.max() + 1 - ranks
    return b"numbers" + ranks.astype(np.int64).tobytes()
