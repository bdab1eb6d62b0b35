"""Limits of a fit: parameters that its rows don't identify, parameters at bounds, and predictions beyond its rows.

A law gives a value everywhere, also where no row lies. Every answer there says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from analysis.fits.fit import FitResult
from analysis.tables.row_ranges import Range, RowRanges, parts

SLACK = 1e-6  # relative, by which a number may lie beyond a range that it was printed from


def of_fit(result: FitResult) -> list[str]:
    """Warnings about any prediction of a fit."""
    found = []
    if result.bounds_hit:
        found.append(f"at a bound, not at a minimum: {', '.join(result.bounds_hit)}")
    if flat := [name for name in result.unidentified if name not in result.bounds_hit]:
        found.append(f"not identified by the rows: {', '.join(flat)}; other values fit them as well")
    if result.status == "max_iter":
        found.append(f"the fit did not end at a minimum: {result.status}")
    return found


def of_point(rows: RowRanges | None, point: Mapping[str, float]) -> list[str]:
    """The ways in which a point lies beyond the rows: in a column, in a ratio of two, or in its loss."""
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
