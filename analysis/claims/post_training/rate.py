"""Claim (p4): fitted to the lower pruning rates, P2 predicts the highest."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from analysis.claims.post_training import conditions
from analysis.claims.post_training.by_method import ByMethod, Shown, missed, worst
from analysis.claims.verdict import Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.findings.post_training import MethodCurves, Recovery
from analysis.worlds.world import RecoveryWorld

MARGIN = 0.02  # nats
LEAST_SPAN = 2.0  # times the least realised rate at the highest

CLAIM = "p4"
STATEMENT = "Fitted to the curves at lower pruning rates, P2 predicts those at the highest."
PAPER = "pruning rates .15 and .25 predict .35"
RULE = f"""
For each method P2 is fitted to all pruning rates of each size but its highest, with the realised ρ, and its residual, predicted − actual, is averaged over the highest
rate's points. Intervals are 95%, by bootstrap over curves. Reproduced: in each method the interval lies within ±{MARGIN} nats. Not reproduced: in some method it lies
wholly outside. Otherwise inconclusive, also if the realised rates of a method span less than {LEAST_SPAN:g}x. {conditions.RULE}
""".strip().replace("\n", " ")

QUANTITY = "largest mean predicted − actual on the highest rate, in a method, nats"
TRUE = "P2 is the truth, at the fitted parameters"
FALSE = f"the same, but the highest rate's runs end {MARGIN} nats higher"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p4)."""
    post = evidence.post_training
    details = {"The highest rate from the lower ones, nats": _rows(post)}
    return FRAME.verdict(evidence, worst(post, residual, lambda own: abs(own.value)), details)


def shown(post: Recovery, own: MethodCurves) -> Shown | str:
    """Whether the highest rate of one method is predicted."""
    rates = own.points["rho"]
    if (span := float(rates.max() / rates.min())) < LEAST_SPAN:
        return f"the realised rates span {span:.2g}x, under {LEAST_SPAN:g}x"
    found = residual(own)
    if found is None:
        return f"P2 can't be fitted to the lower rates: {own.by_rate}"
    if found.outside(-MARGIN, MARGIN):
        return Shown((f"off by {found.value:+.3f} nats at the highest rate",))
    if not found.inside(-MARGIN, MARGIN):
        return Shown((), (f"not shown to lie within ±{MARGIN} nats",))
    return Shown()


FRAME = ByMethod(
    CLAIM, STATEMENT, PAPER, RULE, QUANTITY, shown, lambda post: f"the highest rate is predicted to {MARGIN} nats"
)
rule = FRAME.outcome
true_world = RecoveryWorld.losses  # mean losses of TRUE
false_world = partial(missed, fitted=lambda own: own.milder, nats=MARGIN)  # mean losses of FALSE


def residual(own: MethodCurves) -> Measure | None:
    """Mean predicted - actual on the highest rate, nats."""
    found = own.by_rate
    return None if isinstance(found, str) else Measure.around(found.mean, found.mean_draws())


def _rows(post: Recovery) -> Iterator[dict[str, Any]]:
    for name, own in post.methods.items():
        judged, found = own.by_rate, residual(own)
        if isinstance(judged, str) or found is None:
            continue
        rates = own.points["rho"]
        yield {
            "method": name,
            "ρ fitted, most": float(rates[own.milder].max()),
            "ρ judged, least": float(rates[~own.milder].min()),
            "ρ judged, most": float(rates[~own.milder].max()),
            **cells(found, "mean predicted − actual"),
            "mean |error|": judged.mean_abs,
            "γ": judged.fit.parameters["gamma"],
        }
