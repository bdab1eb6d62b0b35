"""predict --through: a law of the loss below a law that reads a loss, with the errors of both.

Each resample of one fit is combined with each of the other, as if their errors were independent. If both were fitted to the
same runs they aren't quite, and the interval is a little too wide or too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.fits import limits, predicted
from analysis.fits.predicted import QUANTILES
from analysis.fits.saved_fit import SavedFit
from analysis.laws.law import Array
from repro.errors import UserError

READS = "L"  # the column by which a law reads a loss


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
    predicted.of_columns(wanted, lower.result.law, "predict")
    columns = {name: np.array([value]) for name, value in wanted.items()}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        loss = float(lower.result.predict(columns)[0])
        value = float(upper.result.predict({READS: np.array([loss])})[0])
    if not (math.isfinite(loss) and loss > 0 and math.isfinite(value)):
        raise UserError("the laws have no value there", key="predict", found=f"loss {loss:g}, then {value:g}", expected="other values")  # fmt: skip
    answer: dict[str, Any] = {"predicted": value, "unit": upper.result.law.unit, "loss": loss}
    warnings = [*limits.of_point(lower.rows, wanted), *limits.of_point(upper.rows, {READS: loss})]
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
        answer["intervals"] = {"predicted": _ends(values), "loss": _ends(losses)}
    else:
        warnings.append("no interval: in some resamples the laws have no value there")
    return answer, warnings


def _ends(values: Array) -> list[float]:
    low, high = np.quantile(values, QUANTILES)
    return [float(low), float(high)]
