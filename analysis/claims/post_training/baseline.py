"""Claim (p6), ours: the parent's loss at the surgery suffices as L0; the later loss of an unpruned model needn't be known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.claims.post_training import conditions
from analysis.claims.post_training.by_method import ByMethod, Shown, worst
from analysis.claims.verdict import Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.findings.post_training import MethodCurves, Recovery, worse_by
from analysis.fits.fit import fit
from analysis.fits.outcome import above, below
from analysis.laws.law import Array
from analysis.laws.registry import P2
from analysis.tables.post_training import CurvePoints
from analysis.worlds.world import RecoveryWorld

MARGIN = 0.005  # nats: half of claim (p1)'s

CLAIM = "p6, ours"
STATEMENT = (
    "A fixed L0 suffices: P2 fits no better relative to the curve of an unpruned model that is trained just as long."
)
PAPER = "L0 is one number per model; no unpruned control is mentioned in what we could read"
RULE = f"""
For each method P2 is fitted twice to the same points: with L0, and with L0 plus what a model of rate 0 of the same size has gained after as many tokens (mean over seeds, linear
in log D between its points). The quantity is by how much the first mean |predicted − actual| is larger; intervals are 95%, by bootstrap over curves. Reproduced: in each method the
upper bound is under {MARGIN} nats. Not reproduced: in some method the lower bound is over it. Otherwise inconclusive, also if a size has no such model. {conditions.RULE}
""".strip().replace("\n", " ")

QUANTITY = "mean |predicted − actual| with a fixed L0 less that around the unpruned curve, in the method where it is largest, nats"
TRUE = "P2 is the truth, and an unpruned model stays at L0"
FALSE = f"an unpruned model gains as log D, and pruned ones gain as much in addition to P2, so that P2 fits {MARGIN} nats worse with a fixed L0"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p6)."""
    post = evidence.post_training
    details = {
        "What the unpruned curve improves, nats": _rows(post),
        "Unpruned controls: loss less L0 by tokens, nats": _controls(post.points),
    }
    return FRAME.verdict(evidence, worst(post, lambda own: gain(post, own)), details)


def shown(post: Recovery, own: MethodCurves) -> Shown | str:
    """Whether one method's curves are fitted better relative to the unpruned model's curve than to a fixed L0."""
    found = gain(post, own)
    if isinstance(found, str):
        return found
    if above(found.interval, MARGIN):
        return Shown((f"the unpruned curve is a better base, by {found.value:.3f} nats",))
    if not below(found.interval, MARGIN):
        return Shown((), (f"the unpruned curve may be a better base by over {MARGIN} nats",))
    return Shown()


FRAME = ByMethod(
    CLAIM, STATEMENT, PAPER, RULE, QUANTITY, shown, lambda post: f"the unpruned curve improves less than {MARGIN} nats"
)
rule = FRAME.outcome
true_world = RecoveryWorld.losses  # mean losses of TRUE


def false_world(world: RecoveryWorld) -> Array:
    """Mean losses of `FALSE`."""
    points, base = world.points, world.losses()
    judged = points["role"] == "pruned"
    if not judged.any():
        return base
    drift = -np.log2(np.maximum(points["D"] / points["D"][judged].min(), 1.0))
    tried, off = 0.01, []
    for method in points.methods:
        own = judged & (points["method"] == method)
        columns, loss = {name: points[name][own] for name in P2.columns}, (base + tried * drift)[own]
        off.append(float(np.abs(fit(P2, columns, loss).predict(columns) - loss).mean()))
    # What P2 with a fixed L0 is off by grows as the drift, near enough.
    return base + tried * MARGIN / max(min(off), np.finfo(float).tiny) * drift


def gain(post: Recovery, own: MethodCurves) -> Measure | str:
    """How much larger P2's mean |error| is with a fixed L0 than around the unpruned curve, nats; or why it isn't known."""
    base = moved_base(own.points, post.points.of("control"))
    if isinstance(base, str):
        return base
    fixed, moving = own.in_sample[P2.name], own.around(base)
    if isinstance(fixed, str) or isinstance(moving, str):
        return f"P2 can't be fitted: {fixed if isinstance(fixed, str) else moving}"
    return worse_by(fixed, moving)


def moved_base(points: CurvePoints, controls: CurvePoints) -> Array | str:
    """L0 of each point (n,) less what an unpruned model of its size has gained by then; or a size that has no such model."""
    base = points["L0"].copy()
    for size in np.unique(points["N0"]):
        tokens, gained = _gained(controls.where(controls["N0"] == size))
        if not len(tokens):
            return f"no unpruned model of {size:,.0f} parameters that trains on"
        own = points["N0"] == size
        base[own] += np.interp(np.log(points["D"][own]), np.log(tokens), gained)
    return base


def _gained(control: CurvePoints) -> tuple[Array, Array]:
    """Tokens, and loss less L0 at each, mean over seeds."""
    tokens = np.unique(control["D"])
    return tokens, np.array([np.mean((control["loss"] - control["L0"])[control["D"] == own]) for own in tokens])


def _rows(post: Recovery) -> Iterator[dict[str, Any]]:
    for name, own in post.methods.items():
        found = gain(post, own)
        if isinstance(found, Measure):
            yield {"method": name, **cells(found, "gained")}


def _controls(points: CurvePoints) -> Iterator[dict[str, Any]]:
    controls = points.of("control")
    for size in np.unique(controls["N0"]):
        for tokens, gained in zip(*_gained(controls.where(controls["N0"] == size)), strict=True):
            yield {"parameters": size, "tokens": float(tokens), "loss less L0": float(gained)}
