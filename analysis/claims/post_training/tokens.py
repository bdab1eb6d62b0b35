"""Claim (p2): fitted to the first 80% of each curve's points, P2 predicts the last 20%, by level and by slope."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from analysis.claims.post_training import conditions
from analysis.claims.post_training.by_method import ByMethod, Shown, missed, worst
from analysis.claims.verdict import Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import cells
from analysis.findings.post_training import FIRST, MethodCurves, Recovery, mean_abs
from analysis.fits.curve_fits import SETTLED, settled_at
from analysis.fits.outcome import above, below
from analysis.laws.registry import P2
from analysis.worlds.world import RecoveryWorld

MARGIN = 0.01  # nats
MORE_SLOPE = 0.005  # nats a doubling over what the seeds' noise gives: half of what we call settled
LEAST_SPAN = 10.0  # times the tokens of a curve's first point at its last

CLAIM = "p2"
STATEMENT = "Fitted to the first part of each run's training after pruning, P2 predicts the rest."
PAPER = "first 80% of the checkpoints of each run, judged on the last 20% by ASD, whose formula isn't known to us"
RULE = f"""
For each method P2 is fitted to the first {FIRST:.0%} of every curve's points and tested on the others: by mean |predicted − actual|, and by our own
average slope difference (ASD): the mean of |predicted − measured slope| over the steps that end in a point to which it wasn't fitted, slopes in nats per doubling of the
tokens. The seed value of ASD is the one that the noise of the seeds alone gives (mean over pairs of seeds, over √2). Intervals are 95%, by bootstrap over curves. Reproduced: in
each method the error's upper bound is at most {MARGIN} nats, and ASD's upper bound at most {MORE_SLOPE} over its seed value. Not reproduced: in some
method the lower bound of the error is over {MARGIN} nats and over the seeds' σ, or that of ASD over its own bound. Otherwise inconclusive, also if the
tokens span less than {LEAST_SPAN:g}x. {conditions.RULE}
""".strip().replace("\n", " ")

QUANTITY = "largest mean |predicted − actual| on the last points, in a method, nats"
TRUE = "P2 is the truth, at the fitted parameters"
FALSE = f"the same, but the last {1 - FIRST:.0%} of each curve's points end {MARGIN} nats higher"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p2)."""
    post = evidence.post_training
    details = {"The last points of each curve, from the others": _rows(post)}
    return FRAME.verdict(evidence, worst(post, lambda own: mean_abs(own.end_errors)), details)


def shown(post: Recovery, own: MethodCurves) -> Shown | str:
    """Whether the last points of one method's curves are predicted, by level and by slope."""
    span = float(own.points["D"].max() / own.points["D"].min())
    if span < LEAST_SPAN:
        return f"the tokens span {span:.2g}x, under {LEAST_SPAN:g}x"
    size, steep = mean_abs(own.end_errors), own.end_slopes
    if isinstance(own.end_errors, str) or size is None or steep is None:
        return f"P2 can't be fitted to the first points: {own.end_errors}"
    if post.noise is None:
        return f"ASD's seed value isn't known: {post.why_no_noise}"
    most, against, undecided = post.noise.slope + MORE_SLOPE, [], []
    if above(size.interval, max(MARGIN, post.noise.over(own.points.where(~own.early)))):
        against.append(f"the error is over {MARGIN} nats")
    if above(steep.interval, most):
        against.append(f"ASD is over {most:.3g} nats a doubling")
    if not below(size.interval, MARGIN):
        undecided.append(f"the error may be over {MARGIN} nats")
    if not below(steep.interval, most):
        undecided.append(f"ASD may be over {most:.3g} nats a doubling")
    return Shown(tuple(against), tuple(undecided))


HOLDS = f"the error is at most {MARGIN} nats and slopes differ no more than seeds' do"
FRAME = ByMethod(CLAIM, STATEMENT, PAPER, RULE, QUANTITY, shown, lambda post: HOLDS)
rule = FRAME.outcome
true_world = RecoveryWorld.losses  # mean losses of TRUE
false_world = partial(missed, fitted=lambda own: own.early, nats=MARGIN)  # mean losses of FALSE


def _rows(post: Recovery) -> Iterator[dict[str, Any]]:
    for name, own in post.methods.items():
        yield {
            "method": name,
            "points judged on": int((~own.early).sum()),
            **cells(mean_abs(own.end_errors), "mean |error|"),
            **cells(own.end_slopes, "ASD, nats a doubling (ours)", "its low", "its high"),
            "its seed value": post.noise.slope if post.noise else None,
            f"tokens to under {SETTLED} nats a doubling: predicted / measured": _settled(own),
        }


def _settled(own: MethodCurves) -> float | None:
    """Geometric mean, over the curves that settle in both, of where P2 says that they do over where they do."""
    found = own.by_tokens
    if isinstance(found, str):
        return None
    predicted = found.fit.predict({name: own.points[name] for name in P2.columns})
    ratios = []
    for curve in own.points.curves.values():
        tokens = own.points["D"][curve]
        said, seen = (settled_at(tokens, loss[curve]) for loss in (predicted, own.loss))
        if said is not None and seen is not None:
            ratios.append(np.log(said / seen))
    return float(np.exp(np.mean(ratios))) if ratios else None
