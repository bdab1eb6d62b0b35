"""Claim (p5): smaller models' losses fall faster, and the cost of pruning grows as a power of the pruning rate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.claims.post_training import conditions
from analysis.claims.post_training.by_method import ByMethod, Shown, worst
from analysis.claims.verdict import Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.findings.post_training import MethodCurves, Recovery
from analysis.fits.outcome import above, below
from analysis.fits.resample import LEAST_WEIGHT
from analysis.laws.law import Array
from analysis.worlds.world import RecoveryWorld

LEAST_SEEDS = 3
LEVEL = 0.95

CLAIM = "p5"
STATEMENT = "Smaller models' losses fall faster in post-training, and the cost of pruning grows as a power of the pruning rate (γ < 0)."
PAPER = "trend 1: smaller models' loss falls faster; γ < 0 follows from L → L0 as ρ → 0"
RULE = f"""
For each method, over its curves: the logarithm of the slope −dL/dlog2 D of each (least squares over its points) is regressed on log10 N0 and log ρ, and so is
log(L − L0) at the last point; curves that don't fall, or end under L0, are left out where the logarithm doesn't exist. Intervals are one-sided at {LEVEL:.0%}, simultaneous over the two (Bonferroni), by bootstrap over curves. Reproduced: in each method the slope
is shown to fall with N0, also in the point estimate at each rate alone, and the cost to grow with ρ. Not reproduced: in some method one of the two is shown to be the other way
round. Otherwise inconclusive, also if no size was run with {LEAST_SEEDS} seeds. {conditions.RULE}
""".strip().replace("\n", " ")

QUANTITY = "log of the ratio of −dL/dlog2 D of a model ten times as large to that of the smaller one, in the method where it falls least"
TRUE = "P2 is the truth, at the fitted parameters (whose δ and −γ are over 0, or the claim isn't true of it)"
FALSE = "the same, but every curve is that of the middle size and rate: neither matters"


@dataclass(frozen=True)
class Trends:
    """Two coefficients of a method's curves, with their simultaneous one-sided bounds.

    Attributes:
        slope: of log(−dL/dlog2 D) by log10 N0. cost: of log(L − L0) by log ρ, which is −γ. None of too few curves.
        by_rate: the first at each rate alone. left_out: curves that don't fall, and curves that end under L0.
    """

    slope: Measure | None
    cost: Measure | None
    by_rate: dict[float, float]
    left_out: tuple[int, int]

    @property
    def stable(self) -> bool:
        return all(own < 0 for own in self.by_rate.values())


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p5)."""
    post = evidence.post_training
    details = {
        "Trends by method; bounds are one-sided": (_row(name, trends(own)) for name, own in post.methods.items())
    }
    return FRAME.verdict(evidence, worst(post, lambda own: trends(own).slope), details)


def shown(post: Recovery, own: MethodCurves) -> Shown | str:
    """Whether one method's curves show both trends."""
    runs = set(zip(own.points["N0"], own.points["rank"], own.points["seed"], strict=True))
    if (seeds := max(Counter((size, rank) for size, rank, _ in runs).values(), default=0)) < LEAST_SEEDS:
        return f"at most {seeds} seeds per size; {LEAST_SEEDS} are needed"
    if len(np.unique(own.points["N0"])) < 2 or len(np.unique(own.points["rank"])) < 2:
        return "one size or one rate"
    found, against, undecided = trends(own), [], []
    falls, grows = (None if own_trend is None else own_trend.interval for own_trend in (found.slope, found.cost))
    if above(falls, 0):
        against.append("larger models' losses fall faster")
    elif not below(falls, 0):
        undecided.append("smaller models' losses aren't shown to fall faster")
    elif not found.stable:
        undecided.append("not so at each rate")
    if below(grows, 0):
        against.append("a higher rate costs less")
    elif not above(grows, 0):
        undecided.append("a higher rate isn't shown to cost more")
    return Shown(tuple(against), tuple(undecided))


HOLDS = "smaller models' losses fall faster, and higher rates cost more"
FRAME = ByMethod(CLAIM, STATEMENT, PAPER, RULE, QUANTITY, shown, lambda post: HOLDS)
rule = FRAME.outcome
true_world = RecoveryWorld.losses  # mean losses of TRUE


def false_world(world: RecoveryWorld) -> Array:
    """Mean losses of `FALSE`."""
    points = world.points
    judged = points.of("pruned")
    if not len(judged):
        return world.losses()
    middle = {name: np.full(len(points), np.exp(np.log(judged[name]).mean())) for name in ("N0", "rho")}
    return world.losses(points.changed(**middle))


def trends(own: MethodCurves) -> Trends:
    """Both trends over a method's curves."""
    points, curves = own.points, list(own.points.curves.values())
    last = np.array([curve[-1] for curve in curves])
    size, rate = np.log10(points["N0"][last]), np.log(points["rho"][last])
    design = np.stack([np.ones(len(last)), size, rate], axis=1)
    reduce = np.zeros((len(curves), len(points)))
    for i, curve in enumerate(curves):
        doublings = np.log2(points["D"][curve])
        centred = doublings - doublings.mean()
        reduce[i, curve] = -centred / max(float(centred @ centred), np.finfo(float).tiny)
    losses = own.loss[None] if own.drawn is None else own.drawn.losses(own.loss)
    counts = None if own.drawn is None else own.drawn.counts[:, last] + LEAST_WEIGHT
    steep, over = reduce @ own.loss, own.loss[last] - points["L0"][last]
    ranks, falls = points["rank"][last], steep > 0
    by_rate = {
        float(points["rho"][last][chosen].mean()): _coefficient(design[chosen][:, :2], np.log(steep[chosen]), 1)
        for rank in np.unique(ranks)
        if len(np.unique(size[chosen := (ranks == rank) & falls])) > 1
    }
    return Trends(
        _trend(design, steep, losses @ reduce.T, counts, 1),
        _trend(design, over, losses[:, last] - points["L0"][last], counts, 2),
        by_rate,
        (int((~falls).sum()), int((over <= 0).sum())),
    )


def _trend(design: Array, values: Array, drawn: Array, counts: Array | None, which: int) -> Measure | None:
    """One coefficient of the logarithm of values (curves,) on a design; drawn (R, curves) or (1, curves) are resampled values."""
    chosen = values > 0
    if chosen.sum() <= design.shape[1]:
        return None
    draws = None
    if counts is not None:
        logs = np.log(np.maximum(drawn[:, chosen], np.finfo(float).tiny))
        draws = _coefficients(design[chosen], logs, counts[:, chosen], which)
    value, tail = _coefficient(design[chosen], np.log(values[chosen]), which), (1 - LEVEL) / 2
    if draws is None or not np.isfinite(draws).all():
        return Measure(value)
    # Bounds on either side, each of which holds at LEVEL over both trends.
    return Measure(value, *np.quantile(draws, (tail, 1 - tail), method="weibull").tolist())


def _coefficient(design: Array, values: Array, which: int) -> float:
    return float(np.linalg.lstsq(design, values, rcond=None)[0][which])


def _coefficients(design: Array, values: Array, counts: Array, which: int) -> Array:
    """One coefficient (R,) of weighted least squares; values (R, n) or (1, n), counts (R, n)."""
    left = np.einsum("rn,np,nq->rpq", counts, design, design)
    right = np.einsum("rn,np->rp", counts * values, design)
    return np.asarray(np.linalg.solve(left, right[..., None])[:, which, 0])


def _row(name: str, found: Trends) -> dict[str, Any]:
    return {
        "method": name,
        **cells(found.slope, "log slope by ten times the size"),
        "at each rate": ", ".join(f"{rho:.0%} {value:+.4f}" for rho, value in found.by_rate.items()),
        **cells(found.cost, "log cost by log ρ (−γ)", "its low", "its high"),
        "curves that don't fall": found.left_out[0],
        "curves that end under L0": found.left_out[1],
    }
