"""Claim (p7), ours: a pruned model that is trained further reaches the loss of a run of its average size over its whole life."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import Recovery
from analysis.findings.whole_life import beyond
from analysis.fits.outcome import above, below
from analysis.laws.law import Array
from analysis.worlds.world import RecoveryWorld

MARGIN = 0.016  # nats: the paper's mean error of the law in N_avg
LOW, HIGH = 0.9, 1.1

CLAIM = "p7, ours"
STATEMENT = "The law in N_avg, fitted to dense runs alone, predicts pruned models that are trained further, with N_avg and D over the whole life."
PAPER = "arXiv 2501.12486 prunes while a model trains; pruning once is its schedule of one event, so the law has no parameter left"
RULE = f"""
The law E + A/N_avg^α + B/D^β is fitted to held-out losses of dense runs at their peak learning rate alone: parents, unpruned controls and models from scratch. A model of N prunable weights that saw
D0 tokens, was pruned to N' and saw D more has N_avg = (N·D0 + N'·D)/(D0 + D) over D0 + D tokens. Two numbers are judged at each curve's last point, where the seeds' noise is least. The error is the root mean square of
predicted − actual over curves less that noise: no law can predict the differences between seeds, so their variance, as measured, is subtracted before the root is taken (0 if the difference is negative).
N_eff/N_avg is the dense size of equal loss and tokens over that average (geometric mean over curves). Intervals are 95%, by bootstrap over curves and over dense runs (with the noise of the seeds if there are few); the subtracted variance
varies in it by its degrees of freedom. Reproduced: the error's upper bound is at most {MARGIN} nats and the ratio's interval inside [{LOW}, {HIGH}]. Not reproduced: the error's lower bound is over {MARGIN}, or the
ratio lies wholly outside. Otherwise inconclusive, also if the noise of curves isn't known or the dense runs don't identify the law. The other claims'
conditions on L0 don't apply to this one, which doesn't use L0: if it is true, curves of a parent that was still improving do pass below L0.
""".strip().replace("\n", " ")

TRUE = "the law in N_avg over the whole life is the truth, as fitted to the dense runs"
FALSE = f"the same, but a pruned model has N_eff of {LOW} times its N_avg"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p7)."""
    post = evidence.post_training
    details = {"By method": _by_method(post), "By curve, at its last point": _curves(post)}
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "root mean square of predicted − actual of the dense law where pruned models' curves end, the seeds' noise taken out, nats",
        rule(evidence),
        post.life.error,
        details,
        _notes(post),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    post = evidence.post_training
    found = post.life
    if found.ratio is None:
        return "inconclusive", found.reason or "no curve to judge"
    size, ratio = found.error, found.ratio
    if size is None:
        return "inconclusive", f"the seeds' noise of curves isn't known: {post.why_no_noise}"
    if size.interval is None or ratio.interval is None:
        return "inconclusive", "dense runs are too few to resample, or too many resamples have no finite number"
    said = f"N_eff/N_avg {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
    wrong = [f"the error is over {MARGIN} nats"] if above(size.interval, MARGIN) else []
    if ratio.outside(LOW, HIGH):
        wrong.append(f"a pruned model isn't worth its average to 10%: {said}")
    if wrong:
        return "not reproduced", "; ".join(wrong)
    if below(size.interval, MARGIN) and ratio.inside(LOW, HIGH):
        return "reproduced", f"the error is at most {MARGIN} nats, and {said}"
    return "inconclusive", f"the error may be over {MARGIN} nats, or the worth off by 10%: {said}"


def true_world(world: RecoveryWorld) -> Array:
    """Mean losses of `TRUE`; those of P2 if no law can be fitted to dense runs."""
    return world.losses() if world.dense is None else world.over_the_life()


def false_world(world: RecoveryWorld) -> Array:
    """Mean losses of `FALSE`; those of P2 if no law can be fitted to dense runs."""
    return world.losses() if world.dense is None else world.over_the_life(LOW)


def _notes(post: Recovery) -> Iterator[str]:
    found = post.life
    if found.fit:
        parameters = ", ".join(f"{name} {value:.4g}" for name, value in found.fit.parameters.items())
        yield f"Dense law of {found.runs} runs: {parameters}."
    if post.noise and found.error:
        yield f"The seeds' noise that is taken out: σ {post.noise.over(post.points.of('pruned').last):.4f} nats at a curve's last point."


def _by_method(post: Recovery) -> Iterator[dict[str, Any]]:
    found = post.life
    if found.residual is None or found.ratios is None:
        return
    points = post.points.of("pruned").changed(residual=found.residual)
    for method in post.points.methods:
        own = points.where(points["method"] == method)
        ends = own.last
        error = beyond(post.noise.over(ends), float(np.mean(ends["residual"] ** 2))).value if post.noise else None
        yield {
            "method": method,
            "error at the end, noise taken out": error,
            "mean predicted − actual at the end": float(ends["residual"].mean()),
            "N_eff/N_avg at the end": float(np.exp(np.mean([np.log(found.ratios[name]) for name in ends["run_id"]]))),
            "mean |predicted − actual| of all points, noise and all": float(np.abs(own["residual"]).mean()),
        }


def _curves(post: Recovery) -> Iterator[dict[str, Any]]:
    found = post.life
    if found.ratios is None or found.residual is None:
        return
    judged = post.points.of("pruned")
    for run_id, own in judged.curves.items():
        end = own[-1]
        yield {
            "run": run_id,
            "method": judged["method"][end],
            "ρ": float(judged["rho"][end]),
            "N_avg over the life": float(judged["N_avg"][end]),
            "tokens over the life": float(judged["D_life"][end]),
            "loss": float(judged["loss"][end]),
            "predicted − actual": float(found.residual[end]),
            "N_eff/N_avg": found.ratios[run_id],
        }
