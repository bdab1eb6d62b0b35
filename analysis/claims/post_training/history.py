"""Claim (p8), ours: how long the parent was trained matters only through its loss L0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.claims.post_training import conditions
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure
from analysis.findings.post_training import Recovery
from analysis.laws.law import Array
from analysis.tables.post_training import CurvePoints
from analysis.worlds.world import RecoveryWorld

MARGIN = 0.01  # nats: claim (p1)'s
SAME_RATE = 0.02  # relative, within which two realised rates are one
LEVEL = 0.95

CLAIM = "p8, ours"
STATEMENT = "Only L0 matters of the parent's history: at equal pruning rates and tokens, L − L0 is the same for parents of two ages."
PAPER = "the law depends on the parent only through N0 and L0; arXiv 2411.04330 finds that damage by quantising grows with the tokens a model has seen"
RULE = f"""
Curves of parents of one size and seed, of which one had seen fewer or more tokens than the usual, are compared at equal method, realised rate and tokens: the difference of L − L0, mean over the points, then over the
pairs. Its 95% interval is Student's t with the seeds' noise of a curve's mean L − L0, times √2 over the root of the number of parents of another age, since curves of one parent share its noise. Reproduced: it lies within ±{MARGIN} nats. Not reproduced: it lies wholly outside. Otherwise
inconclusive. {conditions.RULE}
""".strip().replace("\n", " ")

TRUE = "P2 is the truth, at the fitted parameters: L − L0 doesn't depend on the parent's tokens"
FALSE = f"the same, but curves of parents of another age end {MARGIN} nats higher"
true_world = RecoveryWorld.losses  # mean losses of TRUE


@dataclass(frozen=True)
class AgedPair:
    """Two curves that differ in their parent's tokens. `difference`: of L - L0, that of the other age less the usual one's, nats."""

    aged: CurvePoints
    usual: CurvePoints
    difference: float


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p8)."""
    post = evidence.post_training
    found = pairs(post.points)
    measure = pooled(post, found)
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "L − L0 of curves whose parent is of another age, less that of the usual age's, nats",
        rule(evidence),
        measure,
        {"Pairs": map(_row, found)},
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    post = evidence.post_training
    if reason := conditions.hindrance(post):
        return "inconclusive", reason
    measure = pooled(post, pairs(post.points))
    if measure is None:
        return "inconclusive", "no two curves that differ in their parent's age alone"
    if measure.interval is None:
        return "inconclusive", f"the seeds' noise isn't known: {post.why_no_noise}"
    if measure.outside(-MARGIN, MARGIN):
        return "not reproduced", f"parents of another age recover otherwise, by {measure.value:+.3f} nats at equal L0"
    if measure.inside(-MARGIN, MARGIN):
        return "reproduced", f"parents of two ages recover alike, to {MARGIN} nats"
    return "inconclusive", f"not shown to lie within ±{MARGIN} nats"


def false_world(world: RecoveryWorld) -> Array:
    """Mean losses of `FALSE`."""
    return world.shifted(world.points["role"] == "aged", MARGIN)


def pairs(points: CurvePoints) -> list[AgedPair]:
    """Each curve of another age beside the one of the usual age, of equal method, size, realised rate, seed and tokens."""
    usual, aged = points.of("pruned"), points.of("aged")
    return [pair for own in aged.curves.values() if (pair := _pair(aged.where(own), usual)) is not None]


def _pair(curve: CurvePoints, usual: CurvePoints) -> AgedPair | None:
    alike = (
        (usual["method"] == curve["method"][0])
        & (usual["N0"] == curve["N0"][0])
        & (usual["seed"] == curve["seed"][0])
        & (np.abs(usual["rho"] / curve["rho"][0] - 1) <= SAME_RATE)
    )
    other = usual.where(alike)
    common = np.intersect1d(np.round(curve["D"]), np.round(other["D"]))
    if not len(common):
        return None
    other = other.where(next(iter(other.curves.values())))
    return AgedPair(curve, other, float(np.mean(_over(curve, common) - _over(other, common))))


def _over(rows: CurvePoints, common: Array) -> Array:
    """L - L0 at the tokens that both curves have, nats."""
    own = rows.where(np.isin(np.round(rows["D"]), common))
    return np.asarray((own["loss"] - own["L0"])[np.argsort(own["D"])])


def pooled(post: Recovery, found: list[AgedPair]) -> Measure | None:
    """The mean difference over pairs, with its interval."""
    if not found:
        return None
    value = float(np.mean([pair.difference for pair in found]))
    if post.noise is None:
        return Measure(value)
    level, share = post.noise.level, float(np.mean(post.noise.share(post.points.of("aged")["D"])))
    parents = {tuple(pair.aged[name][0] for name in ("N0", "D0", "seed")) for pair in found}
    half = level.quantile((1 - LEVEL) / 2) * level.sd * share * float(np.sqrt(2 / len(parents)))
    return Measure(value, value - half, value + half)


def _row(pair: AgedPair) -> dict[str, Any]:
    return {
        "of another age": pair.aged["run_id"][0],
        "of the usual age": pair.usual["run_id"][0],
        "method": pair.aged["method"][0],
        "parameters": float(pair.aged["N0"][0]),
        "ρ": float(pair.aged["rho"][0]),
        "tokens of the other parent": float(pair.aged["D0"][0]),
        "of the usual parent": float(pair.usual["D0"][0]),
        "difference of L − L0": pair.difference,
    }
