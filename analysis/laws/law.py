"""Law: a small class with its parameters, prediction and analytic gradient.

Every law of the registry is a sum of terms, each a scale times a function of the columns whose logarithm is simple in the
other parameters: L = offset + sum_j c_j exp(g_j). A law says its g_j and their slopes (`terms`); prediction, gradient and
the linear part of the fit (variable projection) follow. Everything broadcasts over leading axes of the parameters,
so that many starts or resamples are evaluated at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Columns = Mapping[str, Array]
Values = Mapping[str, Array]
Published = Mapping[str, Mapping[str, float]]
NOTHING: Published = MappingProxyType({})


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law.

    Attributes:
        name: as in the formula.
        unit: its unit; empty for a pure number.
        low, high: bounds: what the parameter must be whatever the rows are. The rows themselves bound nothing: one
            row with too low a loss would then move every other parameter of a fit that is robust against it.
        log: the solver works on its logarithm.
        starts: values to start from; empty for a scale, in which the law is linear and which the solver finds.
    """

    name: str
    unit: str
    low: float
    high: float
    log: bool = False
    starts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Term:
    """scale * exp(log). `slopes`: d log / d parameter, for those it depends on; each (..., n) or broadcastable."""

    scale: str
    log: Array
    slopes: Mapping[str, Array] = field(default_factory=dict)


class Law(ABC):
    """What the solver needs from a law.

    Attributes:
        name: key in the registry. formula: for readers. source: paper, section.
        columns: those it reads. parameters: in the order of every theta.
        published: constants that somebody has printed, by data set.
        coarse: columns of which two values are enough; of the others three.
        levels: labels of the columns that hold labels; such a column holds the number of each row's label among them.
        free: columns that may hold any finite number; the others hold positive ones.
        logarithmic: the scales are linear in the logarithm of the loss, and not in the loss.
        unit: of what it predicts: nats, or another where that is no loss.
    """

    name: str
    formula: str
    source: str
    columns: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    published: Published = NOTHING
    coarse: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    free: tuple[str, ...] = ()
    logarithmic: bool = False
    unit: str = "nats"

    @abstractmethod
    def predict(self, theta: Array, columns: Columns) -> Array:
        """Loss in nats per token, (..., n), of parameters (..., P) on columns (n,)."""

    @abstractmethod
    def gradient(self, theta: Array, columns: Columns) -> Array:
        """d loss / d theta, (..., n, P)."""

    @abstractmethod
    def linear(self, theta: Array, columns: Columns) -> tuple[Array | float, Array]:
        """The part without scales, (n,) or (..., n), and the slope in each scale, (..., n, scales)."""

    @property
    def label(self) -> str:
        return self.name

    @property
    def size(self) -> str | None:
        """The one column of sizes of a law that reads no more numbers than that and D; else None."""
        own = [name for name in self.columns if name != "D" and name not in self.levels]
        return own[0] if "D" in self.columns and len(own) == 1 and own[0].startswith("N") else None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters)

    def at_bound(self, theta: Array) -> NDArray[np.bool_]:
        """Which of the parameters (..., P) sit at one of their bounds."""
        log = np.array([p.log for p in self.parameters])
        own, low, high = (
            np.where(log, np.log(np.where(log, values, 1.0)), values)
            for values in (theta, *np.array([(p.low, p.high) for p in self.parameters]).T)
        )
        near = 1e-9 * np.maximum(1.0, np.abs(own))
        return (own <= low + near) | (own >= high - near)

    def _values(self, theta: Array) -> dict[str, Array]:
        return {name: theta[..., i, None] for i, name in enumerate(self.names)}


class TermLaw(Law):
    """A sum of terms."""

    @abstractmethod
    def terms(self, p: Values, x: Columns) -> list[Term]:
        """The terms at parameters `p`, each (..., 1), on columns `x`, each (n,)."""

    def offset(self, x: Columns) -> Array | float:
        """A part of the loss that is given, (n,)."""
        return 0.0

    def predict(self, theta: Array, columns: Columns) -> Array:
        values = self._values(theta)
        total = self.offset(columns)
        for term in self.terms(values, columns):
            total = total + values[term.scale] * np.exp(term.log)
        return np.asarray(total)

    def gradient(self, theta: Array, columns: Columns) -> Array:
        values, at = self._values(theta), {name: i for i, name in enumerate(self.names)}
        rows = len(next(iter(columns.values())))
        result = np.zeros((*theta.shape[:-1], rows, len(at)))
        for term in self.terms(values, columns):
            size = np.exp(term.log)
            result[..., at[term.scale]] += size
            for name, slope in term.slopes.items():
                result[..., at[name]] += values[term.scale] * size * slope
        return result

    def linear(self, theta: Array, columns: Columns) -> tuple[Array | float, Array]:
        scales = [i for i, p in enumerate(self.parameters) if not p.starts]
        return self.offset(columns), self.gradient(theta, columns)[..., scales]


def constant(p: Values, name: str = "E") -> Term:
    """A term that depends on no column."""
    return Term(name, np.zeros_like(p[name]))


def power(p: Values, scale: str, exponent: str, log_column: Array) -> Term:
    """scale / column^exponent."""
    return Term(scale, -p[exponent] * log_column, {exponent: -log_column})
