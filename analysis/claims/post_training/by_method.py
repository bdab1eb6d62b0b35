"""What the claims on training after pruning about every method share: judging the methods one by one.

If one method contradicts a claim it is "not reproduced", even if other methods are inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.claims.post_training import conditions
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure
from analysis.findings.post_training import MethodCurves, Recovery
from analysis.laws.law import Array
from analysis.tables.data import Mask
from analysis.worlds.world import RecoveryWorld


@dataclass(frozen=True)
class Shown:
    """What a method's curves show, each a clause: what speaks against the claim, and what isn't decided. Neither: the claim holds."""

    against: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


@dataclass(frozen=True)
class ByMethod(Stated):
    """A claim that is reproduced if it holds for every pruning method.

    Attributes:
        quantity: as in Verdict.
        shown: what one method shows; a string where nothing can be said of it, and so of the claim.
        holds: why it is reproduced, where it is.
    """

    quantity: str
    shown: Callable[[Recovery, MethodCurves], Shown | str]
    holds: Callable[[Recovery], str]

    def outcome(self, evidence: Evidence) -> tuple[Outcome, str]:
        """The outcome and its reason."""
        post = evidence.post_training
        if reason := conditions.hindrance(post):
            return "inconclusive", reason
        against, undecided = [], []
        for name, own in post.methods.items():
            found = self.shown(post, own)
            if isinstance(found, str):
                return "inconclusive", f"{name}: {found}"
            if own.drawn is None:
                return "inconclusive", f"{name}: {own.why_no_resamples}"
            against += [f"{name}: {clause}" for clause in found.against]
            undecided += [f"{name}: {clause}" for clause in found.undecided]
        if against:
            return "not reproduced", "; ".join(against)
        if undecided:
            return "inconclusive", "; ".join(undecided)
        return "reproduced", f"in each method {self.holds(post)}"

    def verdict(
        self,
        evidence: Evidence,
        worst: Measure | None,
        details: Mapping[str, Iterable[dict[str, Any]]],
        notes: Iterable[str] = (),
    ) -> Verdict:
        """The verdict, for which the worst number of all methods stands."""
        return self.filled(self.quantity, self.outcome(evidence), worst, details, notes)


def worst(
    post: Recovery,
    measure: Callable[[MethodCurves], Measure | str | None],
    badness: Callable[[Measure], float] = lambda own: own.value,
) -> Measure | None:
    """The worst number among the methods that have one."""
    found = (measure(own) for own in post.methods.values())
    return max((own for own in found if isinstance(own, Measure)), key=badness, default=None)


def missed(world: RecoveryWorld, fitted: Callable[[MethodCurves], Mask], nats: float) -> Array:
    """Mean losses (n,) of P2, but for the points that a method's fit doesn't see, which end `nats` higher.

    Args:
        fitted: of a method's judged curves, the points it sees.
    """
    points = world.points
    higher = np.zeros(len(points), dtype=bool)
    for method in points.methods:
        own = np.flatnonzero((points["role"] == "pruned") & (points["method"] == method))
        higher[own[~fitted(MethodCurves(points.where(own), None, 0, (0,)))]] = True
    return world.shifted(higher, nats)
