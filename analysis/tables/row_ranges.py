"""The ranges of a table's rows, and what rows in such ranges can't identify."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.laws.law import Array, Law
from analysis.tables import cells

Range = tuple[float, float]
SMALLEST = 1000  # parameters or tokens: no model has fewer, no run sees fewer
APART = 1.5  # two counts whose ratio varies by less, while they vary by more than SPREAD, can't be told apart
SPREAD = 4.0
SLACK = 1e-6  # relative, by which a number may lie beyond a range that it was printed from


@dataclass(frozen=True)
class RowRanges:
    """Where the rows of a fit lie.

    Attributes:
        ranges: least and largest of each column; of S too where the table tells it.
        ratios: least and largest of each ratio of counts, `D/N` say: rows may fill no more than a strip.
        loss: least and largest, nats per token.
    """

    ranges: Mapping[str, Range]
    ratios: Mapping[str, Range]
    loss: Range

    @classmethod
    def of(cls, law: Law, columns: Mapping[str, Array], loss: Array, sparsity: Array | None = None) -> RowRanges:
        """Of the columns (n,) of a law and the losses (n,); `sparsity` is of the same rows."""
        held = {name: columns[name] for name in law.columns if name not in law.levels}
        if sparsity is not None:
            held.setdefault("S", sparsity)
        return cls(*spans(held), range_of(loss))


def spans(columns: Mapping[str, Array]) -> tuple[dict[str, Range], dict[str, Range]]:
    """Least and largest of each column, and of each ratio of two counts, tokens over parameters.

    Where one goes as a power of the other, of that ratio too: `D/N^1.5`.
    """
    known = [n for n, own in columns.items() if cells.kind_of(n) == "count" and n != "C" and own.min() > 0]
    counts = sorted(known, key=lambda n: (n != "D", n))
    ratios = {}
    for a, b in itertools.combinations(counts, 2):
        ratios[f"{a}/{b}"] = range_of(columns[a] / columns[b])
        if len(columns[a]) < 3:
            continue
        over, under = np.log(columns[a]), np.log(columns[b])
        power = float(f"{np.copysign(np.std(over), np.cov(over, under)[0, 1]) / max(np.std(under), 1e-9):.3g}")
        along = range_of(np.exp(over - power * under))
        if abs(power - 1) > 0.02 and along[1] < APART * along[0] and np.std(under) > 0.1:
            ratios[f"{a}/{b}^{power:g}"] = along
    return {name: range_of(values) for name, values in columns.items()}, ratios


def parts(ratio: str) -> tuple[str, str, float]:
    """Numerator, denominator and its power. Raises ValueError for what is no ratio."""
    over, under = ratio.split("/")
    under, _, power = under.partition("^")
    return over, under, float(power or 1)


def range_of(values: Array) -> Range:
    """Least and largest of numbers (n,)."""
    return float(np.min(values)), float(np.max(values))


def of_rows(ranges: Mapping[str, Range], ratios: Mapping[str, Range]) -> list[str]:
    """Doubts about the units of counts, and about rows in which two of them go together."""
    found = []
    for name, (low, high) in ranges.items():
        if cells.kind_of(name) == "count" and name != "C" and low < SMALLEST:
            found.append(
                f"{name} under 1,000? It runs from {low:.6g} to {high:.6g} {'tokens' if name == 'D' else 'parameters'}; if "
                "these are millions or billions, what is asked of the fit must be too, and C = 6 N D doesn't hold"
            )
    for name, (low, high) in ratios.items():
        over, under, _ = parts(name)
        least, most = ranges[under]
        if high < APART * low and most > SPREAD * least:
            about = f"{low:.4g} to {high:.4g}" if high > 1.001 * low else f"{low:.4g}"
            found.append(
                f"{name} is {about} in every row: how the loss depends on {over} and on {under} apart isn't "
                "identified, and only predictions at that ratio mean anything"
            )
    return found


def beyond(rows: RowRanges | None, point: Mapping[str, float]) -> list[str]:
    """The ways in which a point lies beyond the rows of a fit: in a column, in a ratio of two, or in its loss."""
    if rows is None:
        return ["this fit was saved without the ranges of its rows: whether this point lies beyond them isn't known"]
    found = [
        _beyond(name, point[name], rows.loss if name == "loss" else rows.ranges[name])
        for name in point
        if name in rows.ranges or name == "loss"
    ]
    for name, span in rows.ratios.items():
        over, under, power = parts(name)
        if over in point and under in point:
            found.append(_beyond(name, point[over] / point[under] ** power, span))
    return [text for text in found if text]


def _beyond(name: str, value: float, span: Range) -> str | None:
    low, high = span
    if low - SLACK * abs(low) <= value <= high + SLACK * abs(high):
        return None
    side, edge = ("largest", high) if value > high else ("least", low)
    least, most = sorted((abs(value), abs(edge)))
    far = f", {most / least:.3g} times {'over' if value > high else 'under'}" if least > 0 else ""
    return f"extrapolated: {name} = {value:.4g} is beyond the {side} of the fitted rows, {edge:.4g}{far}"
