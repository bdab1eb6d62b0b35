"""The prediction of a fit at one point: the point, given as NAME=VALUE words, the loss there, and warnings.

Of a law that reads a loss the point may be that of a law of the loss below it. Each resample of one fit is then combined
with each of the other, as if their errors were independent. If both were fitted to the same runs they aren't quite, and
the interval is a little too wide or too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fits.saved_fit import SavedFit
from analysis.laws.law import Law
from analysis.tables import cells, row_ranges
from analysis.tables.cell_table import listed
from repro.errors import UserError

QUANTILES = (0.025, 0.975)
READS = "L"  # the column by which a law reads a loss


@dataclass(frozen=True)
class Predicted:
    """A loss that a fit predicts.

    Attributes:
        value: nats per token. low, high: 95% interval of the law there; None without a bootstrap, or where a resample has no value there.
        beyond: how it goes beyond the fitted rows, a sentence each; empty within them.
        doubts: what is to be said of anything that the fit predicts, parameters at a bound among it.
    """

    value: float
    low: float | None
    high: float | None
    beyond: tuple[str, ...]
    doubts: tuple[str, ...]


def loss_at(saved: SavedFit, wanted: Mapping[str, float]) -> Predicted:
    """The loss at a point.

    Raises:
        UserError: other columns than the law's, or no loss there.
    """
    law = saved.result.law
    of_columns(wanted, law, "predict")
    columns = {name: np.array([value]) for name, value in wanted.items()}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        loss = float(saved.result.predict(columns)[0])
        drawn = None if saved.draws is None else law.predict(saved.draws, columns)[:, 0]
    if not (math.isfinite(loss) and loss > 0):
        raise UserError(
            "the law has no loss at these values", key="predict", found=f"{loss:g} {law.unit}", expected="other values"
        )
    low, high, told = None, None, doubts(saved)
    if drawn is not None and np.isfinite(drawn).all():
        low, high = np.quantile(drawn, QUANTILES).tolist()
    elif drawn is not None:
        told.append("no interval: in some resamples the law has no value there")
    return Predicted(loss, low, high, tuple(row_ranges.beyond(saved.rows, wanted)), tuple(told))


def predict_through(upper: SavedFit, lower: SavedFit, wanted: Mapping[str, float]) -> tuple[dict[str, Any], list[str]]:
    """The upper law's prediction at the loss that the lower law predicts, with warnings.

    Args:
        upper: a fit of a law that reads L and nothing else. lower: of a law of the loss. wanted: the lower law's columns.

    Raises:
        UserError: an upper law that doesn't read L alone, other columns than the lower law's, or no finite number at one of the steps.
    """
    if upper.result.law.columns != (READS,):
        raise UserError(
            "a law that reads more than a loss", key="--through", found=", ".join(upper.result.law.columns),
            expected=f"a fit of a law of {READS}, as downstream_error or accuracy",
        )  # fmt: skip
    of_columns(wanted, lower.result.law, "predict")
    columns = {name: np.array([value]) for name, value in wanted.items()}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        loss = float(lower.result.predict(columns)[0])
        value = float(upper.result.predict({READS: np.array([loss])})[0])
    if not (math.isfinite(loss) and loss > 0 and math.isfinite(value)):
        raise UserError("the laws have no value there", key="predict", found=f"loss {loss:g}, then {value:g}", expected="other values")  # fmt: skip
    answer: dict[str, Any] = {"predicted": value, "unit": upper.result.law.unit, "loss": loss}
    warnings = [*row_ranges.beyond(lower.rows, wanted), *row_ranges.beyond(upper.rows, {READS: loss})]
    without = [name for name, one in (("FIT.json", upper), ("--through", lower)) if one.draws is None]
    if without:
        warnings.append(f"no interval: {' and '.join(without)} saved without --bootstrap")
        return answer, warnings
    assert upper.draws is not None
    assert lower.draws is not None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        losses = lower.result.law.predict(lower.draws, columns)[:, 0]
        values = upper.result.law.predict(upper.draws, {READS: losses})
    if np.isfinite(losses).all() and np.isfinite(values).all():
        both = {"predicted": values, "loss": losses}
        answer["intervals"] = {name: np.quantile(own, QUANTILES).tolist() for name, own in both.items()}
    else:
        warnings.append("no interval: in some resamples the laws have no value there")
    return answer, warnings


def doubts(saved: SavedFit) -> list[str]:
    """Warnings about any prediction of a fit."""
    of_rows = [] if saved.rows is None else row_ranges.of_rows(saved.rows.ranges, saved.rows.ratios)
    return [*saved.result.doubts, *of_rows]


def wanted_of(pairs: Sequence[str], law: Law) -> dict[str, float]:
    """Parses NAME=VALUE words into numbers.

    Raises:
        UserError: a name that the law hasn't got or that stands there twice, or a value that can't be its own.
    """
    known = [*law.columns, "C", "loss", "T", "N_final", "within"]
    found: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        name = name.strip()
        if name not in known:
            raise UserError("no such name in this law", key=name, found=pair, expected=listed(known, like=name))
        if name in found:
            raise UserError("a name given twice", key=name, found=" ".join(pairs), expected="one value")
        if name in law.levels:
            found[name] = _level(name, text, law.levels[name])
            continue
        value = cells.number_or_nan(text, "count" if name == "T" else cells.kind_of(name))
        if math.isnan(value):
            raise UserError("not a number", key=name, found=text or "nothing", expected="NAME=NUMBER")
        free = name in law.free
        if not math.isfinite(value) or not (
            free or (0 <= value < 1 if name == "S" else value >= 0 if name == "T" else value > 0)
        ):
            expected = {"S": "0 or more, under 1", "T": "0 or more"}.get(name, "a positive, finite number")
            raise UserError("value out of range", key=name, found=text, expected=expected)
        found[name] = value
    return found


def _level(name: str, text: str, levels: tuple[str, ...]) -> float:
    """The number of a label. Raises UserError for one that the fit hasn't seen."""
    if text.strip() not in levels:
        raise UserError(
            "a label that the fit hasn't seen", key=name, found=text or "nothing", expected=listed(list(levels))
        )
    return float(levels.index(text.strip()))


def of_columns(wanted: Mapping[str, float], law: Law, key: str) -> None:
    """Raises UserError unless these are numbers of all the law's columns, and of nothing else."""
    if set(wanted) != set(law.columns):
        raise UserError(
            "other columns than the law's", key=key, found=", ".join(wanted), expected=" ".join(f"{c}=…" for c in law.columns)
        )  # fmt: skip
