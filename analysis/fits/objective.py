"""The objective that a fit minimises, and the weights of its rows.

A weight is a row's share of an objective and of every mean of errors, times the number of rows. Ratios of weights alone
count. A fit with whole numbers for weights is that of a table in which each row stands so often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from analysis.laws.law import Array
from repro.errors import UserError

Kind = Literal["huber_log", "huber", "lad", "wls"]


@dataclass(frozen=True)
class Objective:
    """A function of the residual that is summed over rows and minimised.

    Attributes:
        kind: huber_log, Huber of log predicted - log loss (Hoffmann et al. 2022); huber, of predicted - loss; lad,
            absolute log residuals (Besiroglu et al. 2024); wls, half squares of predicted - loss.
        delta: Huber threshold, in nats of log loss or in nats.
    """

    kind: Kind = "huber_log"
    delta: float = 1e-3

    def __post_init__(self) -> None:
        if not self.delta > 0:
            raise UserError("threshold out of range", key="delta", found=self.delta, expected="more than 0")

    @classmethod
    def of(cls, kind: str, delta: float | None) -> Objective:
        """By its name, with the usual threshold where none is given.

        Raises:
            UserError: no such objective, a threshold that it hasn't got, or one that is no positive number.
        """
        found = next((own for own in get_args(Kind) if own == kind), None)
        if found is None:
            raise UserError("no such objective", key="--objective", found=kind, expected=", ".join(get_args(Kind)))
        if delta is None:
            return cls(found)
        if found in ("lad", "wls"):
            raise UserError("an objective without a threshold", key="--delta", found=kind, expected="huber_log, huber")
        if not (math.isfinite(delta) and delta > 0):
            raise UserError("threshold out of range", key="--delta", found=delta, expected="more than 0, and finite")
        return cls(found, delta)

    @property
    def logarithmic(self) -> bool:
        return self.kind in ("huber_log", "lad")

    @property
    def threshold(self) -> float:
        """Size of a residual up to which it is squared."""
        return {"huber_log": self.delta, "huber": self.delta, "lad": 0.0, "wls": np.inf}[self.kind]

    def rows(self, residual: Array) -> Array:
        """What each residual adds: of Huber's r^2 / 2 up to |r| = delta, linear beyond."""
        size, delta = np.abs(residual), self.threshold
        if self.kind == "lad":
            return size
        return np.where(size <= delta, 0.5 * residual**2, delta * (size - 0.5 * delta) if np.isfinite(delta) else 0.0)


def scaled(weights: Array) -> Array:
    """Positive weights (n,) with a mean of 1."""
    weights = weights / weights.max()  # of the largest numbers the sum is none
    return np.asarray(weights / weights.mean())


def worth(weights: Array) -> float:
    """Effective number of rows with weights (n,): (sum w)^2 / sum w^2 (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())
