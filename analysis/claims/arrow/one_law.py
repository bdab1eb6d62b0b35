"""Claim (v), ours: one law in N_avg, fitted to dense runs alone, predicts runs whose N(t) falls, rises, is constant, grows or is pruned once."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings import one_law
from analysis.findings.arrow import Arrow
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import cells
from analysis.findings.one_law import KindResiduals
from analysis.fits.outcome import below
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.tables.data import Tables
from analysis.worlds.world import World

MARGIN = 0.016  # nats: the paper's mean error of the law in N_avg

CLAIM = "v"
STATEMENT = "One law in N_avg and D, fitted to dense runs alone, predicts runs whose N(t) falls, rises, is constant, grows or is pruned once."
PAPER = "claimed for dense and falling runs; the mean error of its law in N_avg, fitted to both, is .016 nats"
RULE = f"""
E + A/N_avg^α + B/D^β is fitted to all dense runs of the base recipe, each at its own best learning rate, and to nothing else. N_avg and D are those of the whole life of a run's
weights. The residual of a configuration is predicted less actual loss, the mean over its seeds; kinds of runs are falling, rising, static, moving,
static then dense, saw-tooth, grown, and pruned once (models whose learning rate then decays, as that of the dense runs does). Intervals account for the noise of the seeds in each mean, for that in the law (parametric bootstrap), and for the law's lack of fit: the deviations of dense configurations' means from it beyond the noise of the seeds, corrected for its number of parameters; in each resample every configuration, dense or not, deviates from the law by a draw of it. They are simultaneous at 95% over
the kinds (Bonferroni). Reproduced: in every kind the interval of the mean |residual| ends under {MARGIN} nats. Not reproduced: in some
kind the interval of the mean residual lies wholly outside ±{MARGIN}. Otherwise inconclusive, also if the law can't be fitted to the dense runs or has a parameter at a bound.
""".strip().replace("\n", " ")

TRUE = "the law in N_avg over the whole life is the truth, but for the lack of fit of dense runs"
FALSE = f"the same, but every configuration of one kind, rising or else grown, ends {MARGIN} nats lower"
true_world = World.losses  # mean losses of TRUE


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (v)."""
    found = one_law.residuals(evidence.arrow)
    worst = max(found, key=lambda own: own.mean_abs.value, default=None)
    law, misfit = evidence.arrow.law, evidence.arrow.misfit
    notes = () if isinstance(law, str) else (
        f"The law is fitted to {law.n_rows} dense runs: " + ", ".join(f"{k} {v:.4g}" for k, v in law.parameters.items()) + ".",
        f"On those runs themselves it is off by {_on_dense(evidence.arrow):.4f} nats on average (mean |predicted − actual|, in sample).",
        *(() if misfit is None else (f"Its lack of fit, what it leaves over of dense configurations beyond the seeds' noise, has a standard deviation of {misfit.sd:.4f} nats.",)),
    )  # fmt: skip
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        f"mean |residual| of the kind where it is largest{f' ({worst.kind})' if worst else ''}, nats",
        rule(evidence),
        worst.mean_abs if worst else None,
        {"Predicted less actual, by kind, nats": map(_row, found)},
        notes,
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    if isinstance(law := evidence.arrow.law, str):
        return "inconclusive", law
    found = one_law.residuals(evidence.arrow)
    if not found:
        return "inconclusive", "no run whose N(t) changes"
    if all(own.mean.interval is None for own in found):
        return "inconclusive", evidence.noise.no_interval("a residual")
    if outside := [own for own in found if own.mean.outside(-MARGIN, MARGIN)]:
        which = ", ".join(f"{own.kind} ({own.mean.value:+.3f} nats)" for own in outside)
        return "not reproduced", f"predicted less actual loss is off by over {MARGIN} nats: {which}"
    inside = [own for own in found if below(own.mean_abs.interval, MARGIN)]
    if len(inside) == len(found):
        return "reproduced", f"all {len(found)} kinds are predicted to {MARGIN} nats"
    why = f"kinds shown to be predicted to {MARGIN} nats: {', '.join(own.kind for own in inside) or 'none'}; shown to be off by more: none"
    return "inconclusive", why


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    by_kind, losses = one_law.kinds(world.tables), world.losses()
    moved = by_kind.get("rising", by_kind.get("grown"))
    wrong = set() if moved is None else set(moved["recipe"])
    of_run = zip(world.tables.runs["recipe"], losses.tolist(), strict=True)
    return world.changed({recipe: loss - MARGIN * (recipe in wrong) for recipe, loss in of_run})


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: every run that is judged."""
    return {recipe for runs in one_law.kinds(tables).values() for recipe in runs["recipe"]}


def _on_dense(arrow: Arrow) -> float:
    """Mean |predicted - actual| of the law on the runs that it is fitted to, nats."""
    assert not isinstance(arrow.law, str)
    return float(
        np.abs(arrow.law.predict({name: arrow.dense[name] for name in N_AVG.columns}) - arrow.dense["loss"]).mean()
    )


def _row(own: KindResiduals) -> dict[str, Any]:
    return {
        "kind": own.kind,
        "configurations": len(own.runs),
        **cells(own.mean, "mean"),
        **cells(own.mean_abs, "mean |residual|", "its low", "its high"),
        "N_eff/N_avg by the law": own.worth,
    }
