"""Claim (p7), ours: a pruned model that trains on is a run of its average size over its whole life."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.claims.verdict import Detail, Outcome, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import Recovery
from analysis.fits.outcome import above, below
from analysis.laws.law import Array
from analysis.worlds.recovery_world import RecoveryWorld

MARGIN = 0.016  # nats: the paper's mean error of the law in N_avg
LOW, HIGH = 0.9, 1.1

CLAIM = "p7, ours"
STATEMENT = "The law in N_avg, fitted to dense runs alone, predicts pruned models that train on, with N_avg and D over the whole life."
PAPER = "arXiv 2501.12486 prunes while a model trains; pruning once is its schedule of one event, so the law has no parameter left"
RULE = f"""
The law E + A/N_avg^α + B/D^β is fitted to held-out losses of dense runs at their peak learning rate alone: parents, models that lost nothing and models from scratch. A model of N prunable weights that saw
D0 tokens, was pruned to N' and saw D more has N_avg = (N·D0 + N'·D)/(D0 + D) over D0 + D tokens. Asked are its mean |predicted − actual| over the curves' points, and N_eff/N_avg, the dense size of equal loss and tokens over that
average, at each curve's last point (geometric mean over curves). Intervals are 95%, by bootstrap over curves and over dense runs (with the seeds' noise where there are few). Reproduced: the error's upper bound is at
most {MARGIN} nats and the ratio's interval inside [{LOW}, {HIGH}]. Not reproduced: the error's lower bound is over {MARGIN}, or the ratio lies wholly outside. Otherwise inconclusive, and where the dense runs don't identify
the law. The conditions on L0 of the other claims don't hold for this one, which doesn't read L0: where it is true an unfinished parent's curves do pass below L0.
""".strip().replace("\n", " ")

TRUE = "the law in N_avg over the whole life is the truth, as fitted to the dense runs"
FALSE = f"the same, but a pruned model is worth {LOW} of its average"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (p7)."""
    post = evidence.post_training
    found = post.life
    outcome, because = rule(evidence)
    rows, curves = tuple(_by_method(post)), tuple(_curves(post))
    parameters = (
        f"Dense law of {found.runs} runs: " + ", ".join(f"{k} {v:.4g}" for k, v in found.fit.parameters.items())
        if found.fit
        else None
    )
    return Verdict(
        claim=CLAIM,
        statement=STATEMENT,
        quantity="mean |predicted − actual| of the dense law on pruned models that train on, nats",
        measured=found.error.value if found.error else None,
        interval=found.error.interval if found.error else None,
        paper=PAPER,
        rule=RULE,
        verdict=outcome,
        because=because,
        notes=(f"{parameters}.",) if parameters else (),
        details=tuple(d for d in (Detail("By method", rows), Detail("By curve, at its last point", curves)) if d.rows),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    post = evidence.post_training
    found = post.life
    if found.error is None or found.ratio is None:
        return "inconclusive", found.reason or "no curve to judge"
    size, ratio = found.error, found.ratio
    if size.interval is None or ratio.interval is None:
        return (
            "inconclusive",
            f"neither curves nor dense runs enough to resample, and the seeds' noise isn't known: {post.why_no_noise}",
        )
    said = f"N_eff/N_avg {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
    wrong = [f"the error is over {MARGIN} nats"] if above(size.interval, MARGIN) else []
    if below(ratio.interval, LOW) or above(ratio.interval, HIGH):
        wrong.append(f"a pruned model isn't worth its average to 10%: {said}")
    if wrong:
        return "not reproduced", "; ".join(wrong)
    if below(size.interval, MARGIN) and above(ratio.interval, LOW) and below(ratio.interval, HIGH):
        return "reproduced", f"the error is at most {MARGIN} nats, and {said}"
    return "inconclusive", f"the error may be over {MARGIN} nats, or the worth off by 10%: {said}"


def true_world(world: RecoveryWorld) -> Array:
    """Mean losses of `TRUE`; those of P2 where dense runs tell no law."""
    return world.losses() if world.dense is None else world.over_the_life()


def false_world(world: RecoveryWorld) -> Array:
    """Mean losses of `FALSE`; those of P2 where dense runs tell no law."""
    return world.losses() if world.dense is None else world.over_the_life(LOW)


def _by_method(post: Recovery) -> Iterator[dict[str, Any]]:
    judged, found = post.points.of("pruned"), post.life
    if found.residual is None or found.ratios is None:
        return
    of_curve = dict(zip(judged["run_id"], judged["method"], strict=True))
    for method in post.points.methods:
        own = found.residual[judged["method"] == method]
        worth = [np.log(value) for run_id, value in found.ratios.items() if of_curve[run_id] == method]
        yield {
            "method": method,
            "mean |predicted − actual|": float(np.abs(own).mean()),
            "mean predicted − actual": float(own.mean()),
            "N_eff/N_avg at the end": float(np.exp(np.mean(worth))),
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
