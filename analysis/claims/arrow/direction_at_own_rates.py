"""Claim (i) again, with the rising and the falling run each at the best of the learning rates that were tried for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

from analysis.claims.arrow import direction
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.arrow import SHARE
from analysis.findings.evidence import Evidence
from analysis.findings.set_contrasts import Contrasted, contrasted
from analysis.laws.law import Array
from analysis.tables.data import Runs, Tables
from analysis.tables.mirrored import Kind, MirroredSet, mirrored_sets
from analysis.worlds.world import World

CLAIM = f"{direction.CLAIM}, own rates"
STATEMENT = f"{direction.STATEMENT[:-1]}, each at its own best learning rate."
PAPER = direction.PAPER
LEAST = 3  # rates tried of each kind
KINDS: tuple[Kind, ...] = ("rising", "falling")
RULE = f"""
Judged as claim (i), in the cells in which both kinds were tried at {LEAST} learning rates or more; for each kind the learning rate of least mean loss is used, for
all its seeds. A cell in which the best learning rate of either kind is the lowest or the highest tried is undecided, because the best one isn't known, and with one such cell the claim isn't
reproduced. The learning rate is chosen by the losses that are compared, so that each mean is a little too low; the intervals don't account for this choice, but
the error rates do: in the simulated sweeps each learning rate costs its kind what it cost in this sweep. {direction.SET}. {direction.JUDGED}
""".strip().replace("\n", " ")

TRUE = "the law in N_avg is the truth for each kind at its best learning rate, and the other learning rates cost what they did in this sweep"
FALSE = f"the same, but in one cell, of the highest sparsity, the rising run has N_eff of {SHARE} times its N_avg at its best learning rate"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (i) with own rates."""
    found = _found(evidence)
    measured, interval = found.mean
    tables = {
        "L(rising) − L(falling), each at its best rate, nats": map(direction.row, found.each),
        "Mean losses by learning rate, nats/token": _tries(evidence),
    }
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "L(rising) − L(falling), mean over the cells with several rates, nats",
        rule(evidence),
        (measured, None if any(_at_edge(c.own) for c in found.each) else interval),
        tables,
        direction.notes(found.spread),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    found = _found(evidence)
    if not found.each:
        return "inconclusive", f"in no cell were a rising and a falling run tried at {LEAST} learning rates"
    edges = [f"{kind} at {c.own.name}" for c in found.each for kind in _at_edge(c.own)]
    known = dataclasses.replace(found, each=tuple(c for c in found.each if not _at_edge(c.own)))
    outcome = direction.decide(known, evidence)
    if not edges or outcome[0] == "not reproduced":
        return outcome
    return "inconclusive", f"best rate at an edge of those that were tried, so that it isn't known: {', '.join(edges)}"


def _at_best(world: World, share: float) -> Array:
    """Both kinds end at the law at their best rate; in one cell, of the highest sparsity, the rising run at that of `share` times its N_avg."""
    cost = dict(zip(world.tables.runs["recipe"], world.settings.tolist(), strict=True))
    cells = [*filter(_counts, mirrored_sets(world.tables))]
    wanted: dict[str, float] = {}
    sparsest = max(cells, key=lambda own: own.sparsity, default=None)
    for own in cells:
        for kind in KINDS:
            of_kind = [str(runs["recipe"][0]) for runs in own.tries(kind).values()]
            worth = share if kind == "rising" and own is sparsest else 1.0
            best = world.at_size(worth * own.n_avg, own.d) - min(cost[recipe] for recipe in of_kind)
            wanted |= {recipe: best + cost[recipe] for recipe in of_kind}
    return world.changed(wanted)


true_world, false_world = partial(_at_best, share=1.0), partial(_at_best, share=SHARE)  # mean losses of TRUE, of FALSE


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: both kinds at every rate."""
    own = filter(_counts, mirrored_sets(tables))
    return {runs["recipe"][0] for cell in own for kind in KINDS for runs in cell.tries(kind).values()}


def _counts(own: MirroredSet) -> bool:
    return set(KINDS) <= set(_tried(own))


def _tried(own: MirroredSet) -> list[Kind]:
    return [kind for kind in own.members if len(own.tries(kind)) >= LEAST]


def _best(own: MirroredSet, kind: Kind) -> tuple[Runs, bool]:
    """The runs at the rate of least mean loss, and whether that rate is the lowest or the highest."""
    tries = own.tries(kind)
    best = min(tries, key=lambda multiple: float(tries[multiple]["loss"].mean()))
    return tries[best], best in (min(tries), max(tries))


def _at_edge(own: MirroredSet) -> list[Kind]:
    """The kinds whose best rate isn't known."""
    return [kind for kind in KINDS if _best(own, kind)[1]]


def _found(evidence: Evidence) -> Contrasted:
    own = filter(_counts, evidence.arrow.sets)
    sides = [(cell, _best(cell, "rising")[0], _best(cell, "falling")[0]) for cell in own]
    return contrasted(evidence.arrow, sides, direction.rising_sides(evidence.arrow.sets))


def _tries(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for own in evidence.arrow.sets:
        for kind in _tried(own):
            for multiple, runs in own.tries(kind).items():
                tried = {"cell": own.name, "kind": kind, "times the set's rate": multiple}
                yield tried | {"seeds": len(runs), "loss": float(runs["loss"].mean())}
