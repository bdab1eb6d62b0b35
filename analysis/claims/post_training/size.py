"""Claim (p3): fitted to the smaller models, P2 predicts the largest, and so does every equally good fit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from analysis.claims.post_training import conditions
from analysis.claims.post_training.by_method import ByMethod, Shown, missed
from analysis.claims.verdict import Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure
from analysis.findings.post_training import MethodCurves, Recovery
from analysis.fits.curve_fits import JudgedCurves
from analysis.fits.equally_good import EquallyGood
from analysis.laws.registry import P2
from analysis.worlds.world import RecoveryWorld

MARGIN = 0.02  # nats

CLAIM = "p3"
STATEMENT = "Fitted to the curves of the smaller models, P2 predicts those of the largest."
PAPER = "Qwen-2.5 0.5B and 1.5B predict 3B; with two sizes the law's constants N_C, α and E aren't identified, which isn't discussed in what we could read"
RULE = f"""
For each method P2 is fitted to all sizes but the largest. With α fixed at each value of a grid over its bounds everything else is fitted again. A fit
is as good as the best if resampling the curves can't distinguish the two (by the sum over curves of what it loses, one-sided Student's t at 95%). Its residual is the mean
predicted − actual of the largest size's points. The interval goes from the lower 95% end of the equally good fit with the lowest residual to the upper 95% end of the one with the
highest, by bootstrap over curves. Reproduced: in each method it lies within ±{MARGIN} nats. Not reproduced: in some method it lies wholly outside, so that not one of
the equally good fits predicts the size. Otherwise inconclusive: the equally good fits differ too much, or the noise is too large. {conditions.RULE}
""".strip().replace("\n", " ")

QUANTITY = "mean predicted − actual on the largest size, middle of the equally good fits, in the method where they differ most, nats"
TRUE = "P2 is the truth, at the fitted parameters"
FALSE = f"the same, but the largest models end {MARGIN} nats higher"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p3)."""
    post = evidence.post_training
    details = {
        "The largest size from the smaller ones: mean predicted − actual, nats": _rows(post),
        "Equally good fits, by the α that is held": _fits(post),
    }
    widest = max((found for _, found in _sets(post)), key=lambda own: own.high - own.low, default=None)
    return FRAME.verdict(evidence, None if widest is None else _middle(widest), details, _notes(post))


def shown(post: Recovery, own: MethodCurves) -> Shown | str:
    """Whether all equally good fits to one method's smaller sizes predict its largest."""
    found = own.by_size
    if isinstance(found, str):
        return found
    if found.interval is None and own.drawn is not None:
        return "too many resamples have no finite number"
    if _middle(found).outside(-MARGIN, MARGIN):
        return Shown((f"not one of the equally good fits predicts the largest size to {MARGIN} nats",))
    if _middle(found).inside(-MARGIN, MARGIN):
        return Shown()
    said = (
        "the equally good fits alone say"
        if found.high - found.low > MARGIN
        else "the equally good fits agree, but the noise is too large:"
    )
    return Shown((), (f"{said} {found.low:+.3f} to {found.high:+.3f} nats",))


HOLDS = f"all equally good fits predict the largest size to {MARGIN} nats"
FRAME = ByMethod(CLAIM, STATEMENT, PAPER, RULE, QUANTITY, shown, lambda post: HOLDS)
rule = FRAME.outcome
true_world = RecoveryWorld.losses  # mean losses of TRUE
false_world = partial(missed, fitted=lambda own: own.smaller, nats=MARGIN)  # mean losses of FALSE


def _sets(post: Recovery) -> Iterator[tuple[str, EquallyGood]]:
    """The equally good fits of each method that has any."""
    for name, own in post.methods.items():
        if isinstance(own.by_size, EquallyGood):
            yield name, own.by_size


def _middle(found: EquallyGood) -> Measure:
    """The middle of what equally good fits say, with the interval of all."""
    return Measure((found.low + found.high) / 2, *(found.interval or (None, None)))


def _rows(post: Recovery) -> Iterator[dict[str, Any]]:
    for name, found in _sets(post):
        own = post.methods[name]
        nested = own.nested_by_size
        yield {
            "method": name,
            "sizes fitted": len(np.unique(own.points["N0"][own.smaller])),
            "equally good fits": len(found.alpha),
            "α from": float(found.alpha.min()),
            "α to": float(found.alpha.max()),
            "they say least": found.low,
            "they say most": found.high,
            "low": _middle(found).low,
            "high": _middle(found).high,
            "five parameters say": nested.mean if isinstance(nested, JudgedCurves) else None,
        }


def _fits(post: Recovery) -> Iterator[dict[str, Any]]:
    for name, found in _sets(post):
        for theta, objective, residual in zip(found.theta, found.objective, found.residual, strict=True):
            row: dict[str, Any] = {"method": name, "objective": float(objective)}
            row |= dict(zip(P2.names, theta.tolist(), strict=True))
            yield row | {"mean predicted − actual": float(residual.mean())}


def _notes(post: Recovery) -> Iterator[str]:
    for name, found in _sets(post):
        if len(found.alpha) > 1:
            yield (
                f"{name}: {len(found.alpha)} values of α from {found.alpha.min():.2g} to {found.alpha.max():.2g} fit the smaller sizes equally well; of the largest they say "
                f"{found.low:+.3f} to {found.high:+.3f} nats. Which of them a solver reports is a matter of where it starts."
            )
