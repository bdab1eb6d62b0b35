"""Claim (p1): P2 fits the curves of training after pruning, and better than its rivals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.claims.post_training import conditions
from analysis.claims.post_training.by_method import ByMethod, Shown, worst
from analysis.claims.verdict import Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.findings.post_training import MethodCurves, Recovery, mean_abs, worse_by
from analysis.fits.curve_fits import JudgedCurves
from analysis.fits.fit import fit
from analysis.fits.outcome import above, below
from analysis.laws.law import Array
from analysis.laws.registry import AFTER_PRUNING, LAWS, N_AFTER, P2, P2_NESTED
from analysis.worlds.world import RecoveryWorld

MARGIN = 0.01  # nats

CLAIM = "p1"
STATEMENT = (
    "P2, L0 + ρ^−γ·N0^−δ·(N_C/N0^α + D_C/D^β + E), fits the loss of pruned models while they are trained further."
)
PAPER = "P2 is chosen among several laws of its kind, by slopes; its errors aren't known to us"
RULE = f"""
For each method, P2 (seven parameters), P2 without N_C (five) and a Chinchilla law in the parameters that are left and in the tokens
after pruning (five) are fitted to the same points (D over 0, Huber 1e-3 on log residuals). Intervals are 95%, by bootstrap over curves, the
same curves for every law. Reproduced: in each method the upper bound of P2's mean |predicted − actual| is at most {MARGIN} nats, or the seeds' σ
of a point where that is more, and the lower bounds of both rivals' errors less P2's are over 0. Not reproduced: in some method the lower bound
of P2's error is over that margin, or the Chinchilla law's error is shown to be smaller. Inconclusive: otherwise, where a parameter of P2
ends at a bound, or where its lead over five parameters may be noise. {conditions.RULE}
""".strip().replace("\n", " ")

QUANTITY = "largest mean |predicted − actual| of P2 in a method, nats"
TRUE = "P2 is the truth, at the fitted parameters"
FALSE = "the Chinchilla law in the parameters that are left is the truth, fitted to P2's losses"
true_world = RecoveryWorld.losses  # mean losses of TRUE


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p1)."""
    post = evidence.post_training
    details = {
        "Laws of training after pruning: mean |predicted − actual|, nats": _rows(post),
        "P2's parameters": _parameters(post),
        "Criteria and their random controls: loss less L0, mean over points, nats": conditions.random_rows(post.points),
        "Other learning rates, at the end, nats": conditions.tried_rates(post.points),
    }
    return FRAME.verdict(evidence, worst(post, lambda own: mean_abs(own.in_sample[P2.name])), details, _notes(post))


def shown(post: Recovery, own: MethodCurves) -> Shown | str:
    """Whether P2 fits one method's curves, and better than its rivals."""
    found, most = own.in_sample[P2.name], margin(post)
    size = mean_abs(found)
    if isinstance(found, str) or size is None:
        return f"P2 can't be fitted: {found}"
    leads = {rival.name: lead(own, rival.name) for rival in (P2_NESTED, N_AFTER)}
    chinchilla = leads[N_AFTER.name]
    if above(size.interval, most):
        return Shown((f"its error is over {most:.3g} nats",))
    if chinchilla is not None and below(chinchilla.interval, 0):
        return Shown(("the sizes after pruning predict better",))
    undecided = []
    if found.fit.bounds_hit:
        undecided.append(f"parameters at a bound, not identified: {', '.join(found.fit.bounds_hit)}")
    elif not below(size.interval, most):
        undecided.append(f"its error may be over {most:.3g} nats")
    undecided += [
        f"not shown to be better than {LAWS[rival].formula}"
        for rival, own_lead in leads.items()
        if own_lead is None or not above(own_lead.interval, 0)
    ]
    return Shown((), tuple(undecided))


def _holds(post: Recovery) -> str:
    return f"the error is at most {margin(post):.3g} nats, and both rivals' are larger"


FRAME = ByMethod(CLAIM, STATEMENT, PAPER, RULE, QUANTITY, shown, _holds)
rule = FRAME.outcome


def margin(post: Recovery) -> float:
    """The largest error allowed, in nats: MARGIN, or the noise of the curves if that is larger."""
    return max(MARGIN, 0.0 if post.noise is None else post.noise.over(post.points.of("pruned")))


def false_world(world: RecoveryWorld) -> Array:
    """Mean losses of `FALSE`."""
    points, found = world.points, world.losses()
    for method in points.methods:
        fitted = (points["role"] == "pruned") & (points["method"] == method)
        own = (points["role"] != "control") & (points["method"] == method)
        columns = {name: points[name] for name in N_AFTER.columns}
        law = fit(N_AFTER, {name: values[fitted] for name, values in columns.items()}, found[fitted])
        found[own] = law.predict({name: values[own] for name, values in columns.items()})
    return found


def lead(own: MethodCurves, rival: str) -> Measure | None:
    """How much larger a rival's mean |error| is than P2's, nats, curve by curve."""
    first, other = own.in_sample[P2.name], own.in_sample[rival]
    return None if isinstance(first, str) or isinstance(other, str) else worse_by(other, first)


def _rows(post: Recovery) -> Iterator[dict[str, Any]]:
    for name, own in post.methods.items():
        for law in AFTER_PRUNING:
            found = own.in_sample[law.name]
            row: dict[str, Any] = {"method": name, "law": law.formula, "curves": len(own.points.curves)}
            if isinstance(found, str):
                yield row | {"mean |error|": None, "said": found}
                continue
            row |= cells(mean_abs(found), "mean |error|")
            row |= cells(None if law is P2 else lead(own, law.name), "more than P2", "its low", "its high")
            bounds = ", ".join(found.fit.bounds_hit)
            said = f"at a bound: {bounds}" if bounds else found.fit.status
            yield row | {"objective": found.fit.objective, "said": said}


def _parameters(post: Recovery) -> list[dict[str, Any]]:
    fits = [(name, own.in_sample[P2.name]) for name, own in post.methods.items()]
    return [{"method": name, **found.fit.parameters} for name, found in fits if isinstance(found, JudgedCurves)]


def _notes(post: Recovery) -> Iterator[str]:
    points = post.points.of("pruned")
    if not len(points):
        return
    yield (
        f"The seeds' noise: {post.noise.said}." if post.noise else f"The seeds' noise isn't known: {post.why_no_noise}."
    )
    rates = ", ".join(
        f"{name} {points['rho'][points['method'] == name].min():.0%} to {points['rho'][points['method'] == name].max():.0%}"
        for name in post.points.methods
    )
    yield f"ρ is the realised share of all parameters: {rates}."
    share = conditions.below(points)
    yield (
        f"{share:.0%} of the points lie under the parent's loss." if share else "No point lies under the parent's loss."
    )
    if (moved := conditions.control(post.points)) is not None:
        yield f"An unpruned control moves by {moved:.0%} of what pruning costs by the end."
    one_shot = [float(np.mean(own.points["L_parent"] - own.points["L0"])) for own in post.methods.values()]
    yield f"Before any training a pruned model is {min(one_shot):.2f} to {max(one_shot):.2f} nats over its parent (mean by method); no law is fitted to that."
