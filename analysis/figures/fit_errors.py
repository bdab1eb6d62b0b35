"""A fit of any table: predicted losses against actual ones, and the residuals over each column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import Panel, Points, where_equal
from analysis.fits.table_fit import TableFit
from analysis.laws.law import Array
from analysis.tables import cells

NAME = "fit_errors"
TITLE = "A fit and its residuals"
NOTHING = "no row was fitted"
CAPTION = (
    "Predicted against actual loss of each row, on the line where both are equal; and predicted − actual over each column of the law. "
    "The band, where the seeds' σ was given, is twice it. Residuals that follow a column show what the law misses."
)
COLUMNS = 3
MANY = 7  # labels with a look of their own


def rows(found: TableFit) -> list[dict[str, Any]]:
    """One row a row of the table."""
    law, predicted = found.result.law, found.result.predict(found.columns)
    return [
        {
            "row": int(found.rows.numbers[i]),
            **{
                name: law.levels[name][int(own[i])] if name in law.levels else float(own[i])
                for name, own in found.columns.items()
            },
            "actual": float(found.rows.loss[i]),
            "predicted": float(predicted[i]),
            "residual": float(predicted[i] - found.rows.loss[i]),
        }
        for i in range(len(found.rows))
    ]


def panels(found: TableFit) -> list[Panel]:
    """Predicted against actual, and the residuals over each column of numbers."""
    predicted, actual = found.result.predict(found.columns), found.rows.loss
    residual = predicted - actual
    bands = () if found.sigma is None else ((-2 * found.sigma, 2 * found.sigma),)
    points = tuple(_points(found, actual, predicted))
    axes = "actual loss, nats/token", "predicted, nats/token"
    drawn = [Panel("predicted and actual", *axes, points, guides=(where_equal([*predicted, *actual]),))]
    for name, own in found.columns.items():
        if name not in found.result.law.levels:
            guides = ((np.array([own.min(), own.max()]), np.zeros(2)),)
            wide, count = bool(own.min() > 0 and own.max() > 3 * own.min()), cells.kind_of(name) == "count"
            title, points = f"residuals over {name}", tuple(_points(found, own, residual))
            shown = Panel(title, name, "predicted − actual, nats", points, (), guides, bands, log_x=wide, counts=count)
            drawn.append(shown)
    return drawn


def _points(found: TableFit, x: Array, y: Array) -> Iterator[Points]:
    """Marks of one look; or where the law has groups, of a look for each label of the first."""
    law, names = found.result.law, [f"row {number:.0f}" for number in found.rows.numbers]
    by = next((name for name in law.levels if name in found.columns and len(law.levels[name]) <= MANY), None)
    if by is None:
        yield Points(style.of_rank("row", 0, "a row of the table"), x, y, names)
        return
    for i, label in enumerate(law.levels[by]):
        own = np.flatnonzero(found.columns[by] == i)
        yield Points(style.of_rank("row", i, label), x[own], y[own], [names[j] for j in own])
