"""The noise of the seeds of a curve of training after pruning: a part that all its points share, and a part of each point.

What is measured is the loss less the parent's, L - L0, as that is what a law of training after pruning has to say: seeds of
one configuration (method, rate, size and age) against their mean at equal tokens. Seeds whose models were hurt differently
end nearer to each other than they begin, so both parts fall with the tokens as a power of them, which is measured, too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from analysis.fits.curve_fits import slopes
from analysis.laws.law import Array
from analysis.noise.spread import LEAST_DOF, Spread, known_spread
from analysis.tables.post_training import CurvePoints

LEAST_TOKENS = 3  # values of D, for a power of it


@dataclass(frozen=True)
class CurveNoise:
    """The noise of a curve: the differences between curves that differ in their seed alone.

    Attributes:
        level: sd of what all points of a curve share, nats at `tokens`.
        point: sd of a point around that, nats at `tokens`.
        slope: mean |s - s'| / sqrt(2) over pairs of seeds, nats per doubling: the average slope difference that a law which
            is exactly true would have from the noise of the seeds alone.
        tokens: the geometric mean of the D of the points. fall: exponent with which both parts fall as D grows from there.
    """

    level: Spread
    point: float
    slope: float
    tokens: float
    fall: float

    def share(self, tokens: Array) -> Array:
        """Noise at some D (n,) over that at `tokens`."""
        return np.asarray((tokens / self.tokens) ** -self.fall)

    def over(self, points: CurvePoints) -> float:
        """Root mean square over points of their sd in all, nats."""
        return float(np.hypot(self.level.sd, self.point) * np.sqrt(np.mean(self.share(points["D"]) ** 2)))

    def draw(self, points: CurvePoints, rng: np.random.Generator, size: int = 1) -> Array:
        """Noise of points, (size, n) in nats. Curves of one pruned model, which differ in their learning rate alone, share it."""
        models = zip(*(points[name].tolist() for name in ("method", "N0", "rho", "D0", "seed")), strict=True)
        number: dict[tuple[object, ...], int] = {}
        member = np.array([number.setdefault(model, len(number)) for model in models], dtype=int)
        shared = rng.standard_normal((size, len(number))) * self.level.sd
        own = rng.standard_normal((size, len(points))) * self.point
        return (shared[:, member] + own) * self.share(points["D"])

    def scaled(self, factor: float) -> Self:
        """The same with standard deviations `factor` times as large."""
        level = replace(self.level, **{name: factor * getattr(self.level, name) for name in ("sd", "low", "high")})
        return replace(self, level=level, point=factor * self.point, slope=factor * self.slope)

    @property
    def said(self) -> str:
        """In a sentence's part."""
        falls = f"falling as D^-{self.fall:.2f}" if self.fall >= 0 else f"growing as D^{-self.fall:.2f}"
        return f"σ {self.level.sd:.4f} nats of a curve and {self.point:.4f} of each of its points at {self.tokens:,.0f} tokens, {falls}"


def measure(points: CurvePoints) -> CurveNoise | str:
    """The noise of the curves that are judged, or why it isn't known."""
    by_cell: dict[tuple[object, ...], list[CurvePoints]] = defaultdict(list)
    judged = points.of("pruned")
    for own in judged.curves.values():
        curve = judged.where(own)
        key = (curve["method"][0], curve["N0"][0], curve["rank"][0], tuple(np.round(curve["D"])))
        by_cell[key].append(curve)
    cells = [_Configured.of(curves) for curves in by_cell.values() if len(curves) > 1]
    if not cells:
        return str(known_spread(0.0, 0, 0, 0.0))
    tokens = float(np.exp(np.mean(np.log(judged["D"]))))
    fall = _fall(cells, tokens)
    levels, rest, rest_dof, dof = 0.0, 0.0, 0, 0
    for cell in cells:
        off = cell.off * (cell.tokens / tokens) ** fall
        level = off.mean(axis=1)
        levels += float(np.sum(level**2))
        rest += float(np.sum((off - level[:, None]) ** 2))
        dof, rest_dof = dof + len(off) - 1, rest_dof + (len(off) - 1) * (off.shape[1] - 1)
    spread = known_spread(levels, dof, len(cells), float(np.abs(judged["loss"]).max()))
    if isinstance(spread, str):
        return spread
    steep = [steepness for cell in cells for steepness in cell.steep]
    if not steep or dof < LEAST_DOF:
        return "curves of several seeds hold a single point"
    point = float(np.sqrt(rest / max(1, rest_dof)))
    return CurveNoise(spread, point, float(np.mean(steep) / np.sqrt(2)), tokens, fall)


@dataclass(frozen=True)
class _Configured:
    """The curves of one configuration.

    Attributes:
        tokens: D of the points, (n,). off: L - L0 less its mean over seeds, (seeds, n) in nats.
        steep: of each pair of seeds, the mean |difference of their slopes|, nats per doubling.
    """

    tokens: Array
    off: Array
    steep: tuple[float, ...]

    @classmethod
    def of(cls, curves: list[CurvePoints]) -> Self:
        over, tokens = np.array([curve["loss"] - curve["L0"] for curve in curves]), np.round(curves[0]["D"])
        pairs = ((i, j) for i in range(len(over)) for j in range(i)) if len(tokens) > 1 else ()
        steep = tuple(float(np.abs(slopes(tokens, over[i] - over[j])).mean()) for i, j in pairs)
        return cls(tokens, over - over.mean(axis=0), steep)


def _fall(cells: list[_Configured], tokens: float) -> float:
    """Exponent with which the noise of a point falls as its D grows: least squares through the logs of the variances at each D."""
    squares: dict[float, float] = defaultdict(float)
    dofs: dict[float, int] = defaultdict(int)
    for cell in cells:
        for at, off in zip(cell.tokens, cell.off.T, strict=True):
            squares[at] += float(np.sum(off**2))
            dofs[at] += len(off) - 1
    known = [at for at in squares if squares[at] > 0]
    if len(known) < LEAST_TOKENS:
        return 0.0
    x, y = np.log(np.array(known) / tokens), np.log([squares[at] / dofs[at] for at in known])
    return -float(np.polyfit(x, y, 1, w=np.sqrt([dofs[at] for at in known]))[0]) / 2
