"""Claim (i), ours: a run whose N(t) rises ends at the loss of its mirror image in time, whose N(t) falls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.arrow import SHARE, Arrow
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import cells
from analysis.findings.set_contrasts import Contrasted, SetContrast, Sides, alike, apart, contrasted
from analysis.laws.law import Array
from analysis.noise.spread import Spread
from analysis.tables.data import Tables
from analysis.tables.mirrored import KINDS, SAID, Kind, MirroredSet, mirrored_sets
from analysis.worlds.world import World

CLAIM = "i"
STATEMENT = "A run whose N(t) rises ends at the loss of its mirror image in time, whose N(t) falls."
PAPER = "its law depends on N(t) only through the mean, which is the same for the mirror image; it was tested where N(t) falls"
SET = "Each mirrored set has one N_avg, one number of tokens, one batch and one order of data"
JUDGED = f"""
In each cell (size, tokens, sparsity) the difference L(rising) − L(falling) is
taken at equal seeds and averaged over them, and turned into a ratio: of the size of a dense run that ends at the rising run's loss to that of one that ends at the falling run's, by
the slope of the dense loss in log N at the cell (a quadratic in log N and log D through the dense configurations around it, which have learning rates of their own). Intervals are
simultaneous at 95% over the cells (Bonferroni): of the difference Student's t with its pooled noise, of the ratio from draws of the difference and of the slope. Reproduced: every
cell's ratio lies within [{1 / SHARE:.3f}, {SHARE}]. Not reproduced: some cell's lies wholly outside. Otherwise inconclusive, also if the slope isn't known. The margin in the table is {SHARE - 1:.0%} of N_avg in nats, by that slope.
""".strip().replace("\n", " ")  # fmt: skip
RULE = f"{SET}, and one peak learning rate; if learning rates decay over compute, they are equal at equal shares of compute in a run and in its mirror image. {JUDGED} The same with learning rates that decay over steps, and the other controls, are shown beside it and don't enter the verdict."

TRUE = "the law in N_avg is the truth, so that both end equal"
FALSE = f"the same, but in one cell, of the highest sparsity, the rising run has N_eff of {SHARE} times its N_avg"
true_world = World.losses  # mean losses of TRUE


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (i)."""
    arrow, found = evidence.arrow, _found(evidence)
    tables = {
        "L(rising) − L(falling), nats, and the ratio of their dense sizes of equal loss": map(row, found.each),
        "Other kinds less falling, nats": _others(arrow),
        "Controls less the member of their kind, nats": _controls(arrow),
        "L(rising) − L(falling) in controls, nats": _both(arrow),
        "A constant mask less dense runs of equal N_avg, nats": _dense(arrow),
    }
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "L(rising) − L(falling), mean over cells, nats",
        decide(found, evidence),
        found.mean,
        tables,
        notes(found.spread),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    return decide(_found(evidence), evidence)


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    sparsest = max(rising_sides(mirrored_sets(world.tables)), key=lambda sides: sides[0].sparsity, default=None)
    if sparsest is None:
        return world.losses()
    own, rising, _ = sparsest
    return world.changed({rising["recipe"][0]: world.at_size(SHARE * own.n_avg, own.d)})


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: the rising and the falling run of each cell."""
    return {runs["recipe"][0] for _, *both in rising_sides(mirrored_sets(tables)) for runs in both}


def decide(found: Contrasted, evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome of the rule on these cells, and its reason."""
    if not found.each:
        return "inconclusive", "no mirrored set has a rising and a falling run at one seed"
    if missing := next((c.reason for c in found.each if c.ratio is None), None):
        return "inconclusive", f"no slope of the dense loss to turn nats into sizes: {missing}"
    if found.spread is None:
        return "inconclusive", evidence.noise.no_interval("a difference")
    outside = [c for c in found.each if c.ratio and apart(c.ratio)]
    inside = [c for c in found.each if c.ratio and alike(c.ratio)]
    if outside:
        which = ", ".join(f"{c.own.name} ({c.difference.value:+.3f} nats)" for c in outside)
        return "not reproduced", f"more than ten percent of N_avg apart: {which}"
    if len(inside) == len(found.each):
        return "reproduced", f"in all {len(inside)} cells they have equal N_eff, to ten percent"
    why = f"cells shown to be within ten percent of N_avg: {len(inside)} of {len(found.each)}; outside: none"
    return "inconclusive", why


def row(found: SetContrast) -> dict[str, Any]:
    """A cell in a table."""
    return {
        "cell": found.own.name,
        "N_avg": found.own.n_avg,
        "tokens": found.own.d,
        "seeds": found.matched.seeds,
        **cells(found.difference, "difference"),
        "margin": found.margin,
        **cells(found.ratio, "ratio of N_eff", "its low", "its high"),
    }


def notes(spread: Spread | None) -> Iterator[str]:
    """Notes on the noise of one seed's difference."""
    if spread is not None:
        yield f"By luck the difference of one seed has a standard deviation of {spread.sd:.4f} nats ({spread.dof} degrees of freedom)."


def rising_sides(sets: Iterable[MirroredSet], kind: Kind = "rising") -> list[Sides]:
    """The rising members (or those of another kind) and the falling members of all sets that have both."""
    return [(own, own.members[kind], own.members["falling"]) for own in sets if {kind, "falling"} <= own.members.keys()]


def beside_falling(arrow: Arrow) -> dict[Kind, tuple[SetContrast, ...]]:
    """Each other kind less the falling one, in all sets that have both."""
    return {kind: contrasted(arrow, rising_sides(arrow.sets, kind)).each for kind in KINDS if kind != "falling"}


def _found(evidence: Evidence) -> Contrasted:
    return contrasted(evidence.arrow, rising_sides(evidence.arrow.sets))


def _others(arrow: Arrow) -> Iterator[dict[str, Any]]:
    for kind, each in beside_falling(arrow).items():
        yield from ({"kind": SAID[kind], **row(found)} for found in each if kind != "rising")


def _controls(arrow: Arrow) -> Iterator[dict[str, Any]]:
    controls = [(own, control) for own in arrow.sets for control in own.controls if control.kind in own.members]
    names = {
        run_id: f"{SAID[control.kind]}, {control.differs}"
        for _, control in controls
        for run_id in control.runs["run_id"]
    }
    sides = ((own, control.runs, own.members[control.kind]) for own, control in controls)
    for found in contrasted(arrow, sides).each:
        yield {"control": names[found.matched.one["run_id"][0]], **row(found)}


def _both(arrow: Arrow) -> Iterator[dict[str, Any]]:
    """Settings at which a set has both a rising and a falling control, rates over steps among them."""
    for own in arrow.sets:
        by_name = {(control.kind, control.differs): control.runs for control in own.controls}
        for kind, differs in by_name:
            if kind == "rising" and ("falling", differs) in by_name:
                sides = own, by_name[kind, differs], by_name["falling", differs]
                yield from (
                    {"with": differs, **row(found)}
                    for found in contrasted(arrow, [sides], rising_sides(arrow.sets)).each
                )


def _dense(arrow: Arrow) -> Iterator[dict[str, Any]]:
    for text, name in (("of a width of its own", "partner"), ("of the set's width", "equal_width")):
        sides = [(own, own.members["static"], getattr(own, name)) for own in arrow.sets if "static" in own.members]
        for found in contrasted(arrow, sides).each:
            differ = abs(float(found.matched.other["N_prunable"][0]) / found.own.n_avg - 1)
            yield {"dense run": text, **row(found), "counts differ by": differ}
