"""The law registry: each law as a small frozen class with its parameters, prediction and analytic gradient.

A law maps columns of a table (parameters, tokens) to a loss in nats a token. Everything broadcasts over leading
axes of the parameters, so that many starts or resamples are evaluated at once. To add a law: write one class with
the members of `Law`, and put an instance into `LAWS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Columns = Mapping[str, Array]

EXPONENTS = (0.1, 0.2, 0.3, 0.45, 0.65, 0.9)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law.

    Attributes:
        name: as in the formula.
        unit: its unit; empty for a pure number.
        low, high: bounds. `high` None: the least loss of the table (an irreducible loss lies below every loss).
        log: the solver works on its logarithm.
        starts: values to start from; empty for a parameter in which the law is linear, which the solver finds.
    """

    name: str
    unit: str
    low: float
    high: float | None
    log: bool = False
    starts: tuple[float, ...] = ()


class Law(Protocol):
    """What the solver needs to know of a law."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def formula(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads."""

    @property
    def parameters(self) -> tuple[Parameter, ...]: ...

    def predict(self, theta: Array, columns: Columns) -> Array:
        """Loss in nats a token, (..., n), of parameters (..., P) on columns (n,)."""

    def gradient(self, theta: Array, columns: Columns) -> Array:
        """d loss / d theta, (..., n, P)."""


IRREDUCIBLE = Parameter("E", "nats/token", 0.0, None)
_SIZE_SCALE = Parameter("A", "nats/token * parameters^alpha", 1e-6, 1e30, log=True)
_SIZE_EXPONENT = Parameter("alpha", "", 0.01, 2.5, starts=EXPONENTS)
_DATA_SCALE = Parameter("B", "nats/token * tokens^beta", 1e-6, 1e30, log=True)
_DATA_EXPONENT = Parameter("beta", "", 0.01, 2.5, starts=EXPONENTS)


@dataclass(frozen=True)
class PowerLaw:
    """E + A / X^alpha + B / D^beta, with X one count of parameters (Hoffmann et al. 2022, approach 3).

    Attributes:
        name: key in the registry.
        count: the column that X is.
        label: X as a reader sees it.
        source: who proposed this count.
    """

    name: str
    count: str
    label: str
    source: str

    @property
    def formula(self) -> str:
        return f"E + A/{self.label}^α + B/D^β"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.count, "D")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return (IRREDUCIBLE, _SIZE_SCALE, _SIZE_EXPONENT, _DATA_SCALE, _DATA_EXPONENT)

    def predict(self, theta: Array, columns: Columns) -> Array:
        return _power_law(theta, np.log(columns[self.count]), np.log(columns["D"]))[0]

    def gradient(self, theta: Array, columns: Columns) -> Array:
        return _power_law(theta, np.log(columns[self.count]), np.log(columns["D"]))[1]


@dataclass(frozen=True)
class EffectiveCountLaw:
    """The power law in X = N_final^w * N_prunable^(1 - w): w = 0 is the dense count, w = 1 the final one."""

    name: str = "N_effective"
    label: str = "N_final^w·N_dense^(1−w)"
    source: str = "the rival that a law set at one schedule can't tell from N_avg"

    @property
    def formula(self) -> str:
        return f"E + A/({self.label})^α + B/D^β"

    @property
    def columns(self) -> tuple[str, ...]:
        return ("N_final", "N_prunable", "D")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        share = Parameter("w", "", 0.0, 1.5, starts=(0.1, 0.5, 0.9))
        return (IRREDUCIBLE, _SIZE_SCALE, _SIZE_EXPONENT, _DATA_SCALE, _DATA_EXPONENT, share)

    def predict(self, theta: Array, columns: Columns) -> Array:
        return _power_law(theta[..., :5], self._log_count(theta, columns), np.log(columns["D"]))[0]

    def gradient(self, theta: Array, columns: Columns) -> Array:
        gradient = _power_law(theta[..., :5], self._log_count(theta, columns), np.log(columns["D"]))[1]
        size_term = theta[..., 1, None] * gradient[..., 1]
        by_share = -theta[..., 2, None] * size_term * np.log(columns["N_final"] / columns["N_prunable"])
        return np.concatenate([gradient, by_share[..., None]], axis=-1)

    @staticmethod
    def _log_count(theta: Array, columns: Columns) -> Array:
        share = theta[..., 5, None]
        return share * np.log(columns["N_final"]) + (1 - share) * np.log(columns["N_prunable"])


def _power_law(theta: Array, log_count: Array, log_tokens: Array) -> tuple[Array, Array]:
    """Prediction (..., n) and gradient (..., n, 5) in the order E, A, alpha, B, beta."""
    floor, a, alpha, b, beta = (theta[..., i, None] for i in range(5))
    size, data = np.exp(-alpha * log_count), np.exp(-beta * log_tokens)
    parts = [np.ones_like(size), size, -a * size * log_count, data, -b * data * log_tokens]
    return floor + a * size + b * data, np.stack(parts, axis=-1)


N_AVG = PowerLaw("N_avg", "N_avg", "N_avg", "Jin et al. 2025, arXiv 2501.12486")
N_FINAL = PowerLaw("N_final", "N_final", "N_final", "the count of a pruned model that is deployed")
N_DENSE = PowerLaw("N_dense", "N_prunable", "N_dense", "Hoffmann et al. 2022, arXiv 2203.15556")
N_EFFECTIVE = EffectiveCountLaw()

LAWS: dict[str, Law] = {law.name: law for law in (N_AVG, N_FINAL, N_DENSE, N_EFFECTIVE)}
