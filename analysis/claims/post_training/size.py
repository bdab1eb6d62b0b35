"""Claim (p3): fitted to the smaller models P2 predicts the largest; or which fits of it are as good and say something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.claims.post_training import conditions
from analysis.claims.verdict import Detail, Outcome, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import Recovery
from analysis.fits.curve_fits import JudgedCurves
from analysis.fits.equally_good import EquallyGood
from analysis.fits.outcome import above, below
from analysis.laws.law import Array
from analysis.laws.registry import P2
from analysis.worlds.recovery_world import RecoveryWorld

MARGIN = 0.02  # nats

CLAIM = "p3"
STATEMENT = "From the curves of the smaller models P2 predicts those of the largest."
PAPER = "Qwen-2.5 0.5B and 1.5B predict 3B; with two sizes the law's constants N_C, α and E aren't identified, which isn't discussed in what we could read"
RULE = f"""
For each method P2 is fitted to all sizes but the largest. With α held at each value of a grid over its bounds everything else is fitted again, and every fit
is as good as the best that resampling curves doesn't tell from it (the sum over curves of what it loses, one-sided Student's t at 95%). Its residual is the mean
predicted − actual of the largest size's points. The interval goes from the lower 95% end of the fit that says least to the upper 95% end of the one that says
most, by bootstrap over curves. Reproduced: in each method it lies within ±{MARGIN} nats. Not reproduced: in some method it lies wholly outside, so that not one of
the equally good fits predicts the size. Otherwise inconclusive: the set is too wide, or the noise. {conditions.RULE}
""".strip().replace("\n", " ")

TRUE = "P2 is the truth, at the fitted parameters"
FALSE = f"the same, but the largest models end {MARGIN} nats higher"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p3)."""
    post = evidence.post_training
    found = {name: own.by_size for name, own in post.methods.items()}
    widest = max(
        (own for own in found.values() if isinstance(own, EquallyGood)),
        key=lambda own: own.high - own.low,
        default=None,
    )
    outcome, because = rule(evidence)
    rows, fits = tuple(_rows(post)), tuple(_fits(post))
    return Verdict(
        claim=CLAIM,
        statement=STATEMENT,
        quantity="mean predicted − actual on the largest size, middle of the equally good fits, in the method where they differ most, nats",
        measured=(widest.low + widest.high) / 2 if widest else None,
        interval=widest.interval if widest else None,
        paper=PAPER,
        rule=RULE,
        verdict=outcome,
        because=because,
        notes=tuple(_notes(found)),
        details=tuple(
            d
            for d in (
                Detail("The largest size from the smaller ones: mean predicted − actual, nats", rows),
                Detail("Equally good fits, by the α that is held", fits),
            )
            if d.rows
        ),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    post = evidence.post_training
    if reason := conditions.hindrance(post):
        return "inconclusive", reason
    outside, wide = [], []
    for name, own in post.methods.items():
        found = own.by_size
        if isinstance(found, str):
            return "inconclusive", f"{name}: {found}"
        if found.interval is None:
            return (
                "inconclusive",
                f"{name}: {own.why_no_resamples}"
                if own.drawn is None
                else f"{name}: too many resamples have no finite number",
            )
        if above(found.interval, MARGIN) or below(found.interval, -MARGIN):
            outside.append(name)
        elif not (above(found.interval, -MARGIN) and below(found.interval, MARGIN)):
            of_set = (
                "the equally good fits alone say"
                if found.high - found.low > MARGIN
                else "the equally good fits agree, the noise doesn't tell:"
            )
            wide.append(f"{name}: {of_set} {found.low:+.3f} to {found.high:+.3f} nats")
    if outside:
        return (
            "not reproduced",
            f"not one of the equally good fits predicts the largest size to {MARGIN} nats, of {', '.join(outside)}",
        )
    if wide:
        return "inconclusive", "; ".join(wide)
    return "reproduced", f"all equally good fits predict the largest size to {MARGIN} nats"


def true_world(world: RecoveryWorld) -> Array:
    """Mean losses of `TRUE`."""
    return world.losses()


def false_world(world: RecoveryWorld) -> Array:
    """Mean losses of `FALSE`."""
    points = world.points
    judged = points["role"] == "pruned"
    largest = points["N0"][judged].max() if judged.any() else np.inf
    return world.shifted(judged & (points["N0"] == largest), MARGIN)


def _rows(post: Recovery) -> Iterator[dict[str, Any]]:
    for name, own in post.methods.items():
        found = own.by_size
        if isinstance(found, str):
            continue
        nested = own.nested_by_size
        yield {
            "method": name,
            "sizes fitted": len(np.unique(own.points["N0"][own.smaller])),
            "equally good fits": len(found.alpha),
            "α from": float(found.alpha.min()),
            "α to": float(found.alpha.max()),
            "they say least": found.low,
            "they say most": found.high,
            "low": found.interval[0] if found.interval else None,
            "high": found.interval[1] if found.interval else None,
            "five parameters say": nested.mean if isinstance(nested, JudgedCurves) else None,
        }


def _fits(post: Recovery) -> Iterator[dict[str, Any]]:
    for name, own in post.methods.items():
        found = own.by_size
        if isinstance(found, str):
            continue
        for theta, objective, residual in zip(found.theta, found.objective, found.residual, strict=True):
            row: dict[str, Any] = {"method": name, "objective": float(objective)}
            row |= dict(zip(P2.names, theta.tolist(), strict=True))
            yield row | {"mean predicted − actual": float(residual.mean())}


def _notes(found: dict[str, EquallyGood | str]) -> Iterator[str]:
    for name, own in found.items():
        if isinstance(own, EquallyGood) and len(own.alpha) > 1:
            yield (
                f"{name}: {len(own.alpha)} values of α from {own.alpha.min():.2g} to {own.alpha.max():.2g} fit the smaller sizes equally well; of the largest they say "
                f"{own.low:+.3f} to {own.high:+.3f} nats. Which of them a solver reports is a matter of where it starts."
            )
