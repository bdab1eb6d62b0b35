"""How the best size depends on compute, from runs of a few training budgets (Hoffmann et al. 2022, approach 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from scipy import stats

from analysis.fits import minima, size_curves
from analysis.fits.exponents import LEAST, ComputeLine, Exponent, line
from analysis.fits.outcome import LEVEL, Interval
from analysis.fits.size_curves import SizeCurve
from analysis.laws.law import Array
from repro.errors import UserError

Method = Literal["parabola", "free", "envelope"]

TOLERANCE = 0.1
NO_NOISE = 1e-12  # nats: curves that are met exactly
OFF_PLANE = 0.05  # of log D: how far tokens may lie from a product of powers of N and C


@dataclass(frozen=True)
class BestSize:
    """The best size at one budget, or at one step of the envelope.

    Attributes:
        C: training FLOP. N: parameters. low, high: of N at 95%; None without. D: tokens. loss: there, nats per token.
        rows: that it comes from. left_out: why no line goes through it, with N, D and loss None where they aren't known.
    """

    C: float
    N: float | None
    low: float | None
    high: float | None
    D: float | None
    loss: float | None
    rows: int
    left_out: str | None = None


@dataclass(frozen=True)
class Frontier:
    """The best size against compute by one approach: N_opt as C^a_N, D_opt as C^a_D.

    Attributes:
        a_N, a_D: with intervals.
        best: by budget, those left out included. line: log N_opt over log C.
        noise: standard deviation of a loss, nats; None where it isn't measured. given: whether by the user.
        resamples: of the bootstrap over points that the intervals come from; 0 where they come from the noise.
        points: of each budget its FLOP, the sizes (n,) and losses (n,) of its runs. drawn: so the curves through them; of an
            envelope each curve's size, FLOP (m,) and losses (m,).
        warnings: sentences.
    """

    method: Method
    a_N: Exponent
    a_D: Exponent
    best: tuple[BestSize, ...]
    line: ComputeLine
    noise: float | None
    given: bool
    points: tuple[tuple[float, Array, Array], ...]
    drawn: tuple[tuple[float, Array, Array], ...]
    warnings: tuple[str, ...] = field(default=())
    resamples: int = 0


@dataclass(frozen=True)
class TokensOf:
    """Tokens as a product of powers of parameters and FLOP: exact for D = C / (6 N), and nearly so for the tokens in a table.

    log D = level + by_size log N + by_flops log C. `off`: the largest error of log D over the rows.
    """

    level: float
    by_size: float
    by_flops: float
    off: float

    @classmethod
    def rows(cls, size: Array, flops: Array, tokens: Array) -> TokensOf:
        """Of columns (n,)."""
        design = np.stack([np.ones(len(size)), np.log(size), np.log(flops)], axis=1)
        found = np.linalg.lstsq(design, np.log(tokens), rcond=None)[0]
        level, by_size, by_flops = found.tolist()
        return cls(level, by_size, by_flops, float(np.abs(design @ found - np.log(tokens)).max()))

    def at(self, size: float, flops: float) -> float:
        return float(np.exp(self.level + self.by_size * np.log(size) + self.by_flops * np.log(flops)))

    def exponent(self, of_size: Exponent) -> Exponent:
        """Of the tokens against FLOP, where the size goes with the given one."""
        return of_size.moved(self.by_flops, self.by_size)

    @property
    def warnings(self) -> list[str]:
        if self.off < OFF_PLANE:
            return []
        return [f"D is up to {np.expm1(self.off):.0%} off any product of powers of N and C: a_D and D are approximate"]


def isoflop(
    size: Array,
    flops: Array,
    tokens: Array,
    loss: Array,
    *,
    method: Literal["parabola", "free"],
    tolerance: float = TOLERANCE,
    sigma: float | None = None,
    resamples: int = 0,
) -> Frontier:
    """The minima of the loss over sizes at each budget, and the power law of these minima in the budget.

    Args:
        size, flops, tokens, loss: (n,), positive. tolerance: see `by_budget`. sigma: of a loss over seeds, nats.
        resamples: of a bootstrap over points, for intervals; 0 takes them from the noise.

    Raises:
        UserError: fewer than three budgets with a minimum, too few rows to measure the noise from and no sigma, or too many
            resamples without an exponent.
    """
    curves = size_curves.by_budget(size, flops, loss, tolerance)
    reasons = {i: reason for i, curve in enumerate(curves) if (reason := curve.obstacle)}
    while True:
        kept = [i for i in range(len(curves)) if i not in reasons]
        _enough(curves, reasons)
        used = [curves[i] for i in kept]
        if sigma is None and minima.spare(used) < 1:
            raise UserError(
                "too few rows to measure the noise", key="--sigma", found=f"three runs in each of {len(used)} budgets",
                expected="more sizes, or --sigma, the seeds' standard deviation in nats",
            )  # fmt: skip
        found = minima.find(used, free=method == "free", sigma=sigma)
        outside = {}
        for i, curve, at, bend in zip(kept, used, found.log_size, found.bend, strict=True):
            if bend <= 0:
                outside[i] = "the loss has no minimum over its sizes"
            elif not curve.holds(at):
                outside[i] = size_curves.edge(bool(at >= curve.log_size[-1]))
        if not outside:
            break
        reasons |= outside
    log_budget = np.log([curve.budget for curve in used])
    through = line(log_budget, found.log_size, found.covariance, found.noise, found.freedom)
    of_tokens = TokensOf.rows(size, flops, tokens)
    half = stats.t.ppf((1 + LEVEL) / 2, found.freedom) * found.noise * np.sqrt(np.diag(found.covariance))
    ends: list[Interval | None] = [
        (float(np.exp(at - own)), float(np.exp(at + own))) for at, own in zip(found.log_size, half, strict=True)
    ]
    if resamples:
        slope, ends = minima.resampled(
            used, found.log_size, through.slope.value, free=method == "free", sigma=max(found.noise, NO_NOISE),
            resamples=resamples, rng=np.random.default_rng(0),
        )  # fmt: skip
        through = replace(through, slope=slope)
    best = [
        BestSize(curve.budget, None, None, None, None, None, len(curve.loss), reasons.get(i))
        for i, curve in enumerate(curves)
    ]
    for i, at, own_ends, least in zip(kept, found.log_size, ends, found.loss, strict=True):
        n, flop = float(np.exp(at)), curves[i].budget
        low, high = own_ends or (None, None)
        best[i] = BestSize(flop, n, low, high, of_tokens.at(n, flop), float(least), best[i].rows)
    warnings = of_tokens.warnings
    if through.scattered:
        held = (
            "no bootstrap over points includes that: leave --bootstrap out"
            if resamples
            else "the interval is based on that scatter"
        )
        warnings.append(
            f"the minima lie {through.scatter:.1f} times as far from a power of C as the losses' noise explains: {held}"
        )
    if method == "parabola" and found.misshapen:
        warnings.append(
            "the losses of a budget don't lie on a parabola: its misfit counts as noise here, and a_N is biased if sizes lie "
            "differently around the minimum from budget to budget; --method free estimates the shape from the rows"
        )
    return Frontier(
        method=method,
        a_N=through.slope,
        a_D=of_tokens.exponent(through.slope),
        best=tuple(best),
        line=through,
        noise=found.noise,
        given=sigma is not None,
        points=tuple((curve.budget, np.exp(curve.log_size), curve.loss) for curve in curves),
        drawn=tuple((curve.budget, *own) for curve, own in zip(used, found.drawn, strict=True)),
        warnings=tuple(warnings),
        resamples=resamples,
    )


def _enough(curves: Sequence[SizeCurve], reasons: dict[int, str]) -> None:
    if len(curves) - len(reasons) >= LEAST:
        return
    told = "; ".join(f"C = {curves[i].budget:.3g}: {reason}" for i, reason in list(reasons.items())[:5])
    raise UserError(
        "too few budgets with a minimum", key="C",
        found=f"{len(curves) - len(reasons)} of {len(curves)} budgets" + (f"; {told}" if told else ""),
        expected=f"at least {LEAST}, each with sizes on both sides of its best one",
    )  # fmt: skip
