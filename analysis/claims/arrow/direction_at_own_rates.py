"""Claim (i) once more: the rising and the falling run each at its own best learning rate of those that were tried."""

from __future__ import annotations

from typing import Any

from analysis.claims.arrow import direction
from analysis.claims.verdict import Detail, Outcome, Verdict
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
RULE = f"""
Judged as claim (i), in the cells in which both kinds were tried at {LEAST} learning rates or more; of each kind the rate of least mean loss is taken, for
all its seeds. The rate is chosen on the losses that are compared, so that each side's mean is a little too low, and the intervals don't hold that choice. {direction.SET}. {direction.JUDGED}
""".strip().replace("\n", " ")

TRUE = f"{direction.TRUE}, at every rate that was tried"
FALSE = f"the same, but in one cell, of the highest sparsity, the rising run is worth a dense one of {SHARE} times its N_avg at every rate"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (i) with own rates."""
    found = _found(evidence)
    measured, interval = found.mean
    outcome, because = rule(evidence)
    tables = (
        Detail("L(rising) − L(falling), each at its best rate, nats", tuple(map(direction.row, found.each))),
        Detail(
            "Mean losses by learning rate, nats/token", tuple(r for own in evidence.arrow.sets for r in _tries(own))
        ),
    )
    edge = [f"{kind} at {own.name}" for own in evidence.arrow.sets for kind in _tried(own) if _best(own, kind)[1]]
    ends = [
        f"The best rate of {which} is the lowest or the highest that was tried, so that its own best may lie beyond."
        for which in edge
    ]
    return Verdict(
        claim=CLAIM,
        statement=STATEMENT,
        quantity="L(rising) − L(falling), mean over the cells with several rates, nats",
        measured=measured,
        interval=interval,
        paper=PAPER,
        rule=RULE,
        verdict=outcome,
        because=because,
        notes=(*direction.notes(found), *ends),
        details=tuple(table for table in tables if table.rows),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    found = _found(evidence)
    if not found.each:
        return "inconclusive", f"in no cell were a rising and a falling run tried at {LEAST} learning rates"
    return direction.decide(found, evidence)


def true_world(world: World) -> Array:
    """Mean losses of `TRUE`."""
    return world.losses()


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    sparsest = max(filter(_counts, mirrored_sets(world.tables)), key=lambda own: own.sparsity, default=None)
    if sparsest is None:
        return world.losses()
    loss = world.at_size(SHARE * sparsest.n_avg, sparsest.d)
    return world.changed({runs["recipe"][0]: loss for runs in sparsest.tries("rising").values()})


def repeated(tables: Tables) -> set[str]:
    """Recipes of which further seeds narrow its intervals: both kinds at every rate."""
    kinds: tuple[Kind, ...] = ("rising", "falling")
    own = filter(_counts, mirrored_sets(tables))
    return {runs["recipe"][0] for cell in own for kind in kinds for runs in cell.tries(kind).values()}


def _counts(own: MirroredSet) -> bool:
    return {"rising", "falling"} <= set(_tried(own))


def _tried(own: MirroredSet) -> list[Kind]:
    return [kind for kind in own.members if len(own.tries(kind)) >= LEAST]


def _best(own: MirroredSet, kind: Kind) -> tuple[Runs, bool]:
    """The runs at the rate of least mean loss, and whether that rate is the lowest or the highest."""
    tries = own.tries(kind)
    best = min(tries, key=lambda multiple: float(tries[multiple]["loss"].mean()))
    return tries[best], best in (min(tries), max(tries))


def _found(evidence: Evidence) -> Contrasted:
    own = filter(_counts, evidence.arrow.sets)
    sides = [(cell, _best(cell, "rising")[0], _best(cell, "falling")[0]) for cell in own]
    return contrasted(evidence.arrow, sides, direction.rising_sides(evidence.arrow.sets))


def _tries(own: MirroredSet) -> list[dict[str, Any]]:
    return [
        {
            "cell": own.name,
            "kind": kind,
            "times the set's rate": multiple,
            "seeds": len(runs),
            "loss": float(runs["loss"].mean()),
        }
        for kind in _tried(own)
        for multiple, runs in own.tries(kind).items()
    ]
