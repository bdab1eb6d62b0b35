"""Claim (e): starting late hurts high sparsity most, and pruning too long hurts at 80%."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from analysis.claims.grid import key_of
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.fits.outcome import above, below
from analysis.laws.law import Array
from analysis.noise.spread import Spread
from analysis.tables.data import Runs, Tables
from analysis.worlds.world import World
from repro import studies

HIGH, LOWER = 0.8, (0.2, 0.4)
BEST, LATE, LONG = (0.25, 0.75), (0.5, 1.0), (0.25, 1.0)  # start and end of pruning, shares of compute
LEVEL = 0.95
HURTS = 0.03  # nats: a clear harm, three times the margin up to which claim (a) takes schedules for equally good

CLAIM = "e"
STATEMENT = "Starting to prune late hurts high sparsity most, and pruning for too long hurts at 80%."
PAPER = "both are read off its figure 6; no number is printed"
RULE = f"""
Two contrasts of shares of compute spent dense / pruning. Late start: L(50/50) − L(25/50) at {HIGH:.0%}, less the mean of the same
difference at {LOWER[0]:.0%} and {LOWER[1]:.0%}. Too long: L(25/75) − L(25/50) at {HIGH:.0%}. Each difference is taken at equal
seeds and averaged over them; contrasts are averaged over sizes and budgets. Intervals come from the seeds' paired noise (Student's
t), simultaneous at {LEVEL:.0%} over the two contrasts (Bonferroni). Reproduced: both intervals lie over 0. Not reproduced: either lies
under 0. Otherwise inconclusive.
""".strip().replace("\n", " ")

TRUE = f"both contrasts are {HURTS} nats (the claim names no size)"
FALSE = "both contrasts are 0"


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of paired differences. `value`: nats; `variance`: that of the sum, in units of one difference's variance."""

    name: str
    family: str
    value: float
    variance: float

    def measured(self, spread: Spread | None) -> Measure:
        if spread is None:
            return Measure(self.value)
        half = spread.quantile((1 - LEVEL) / 2 / 2) * spread.sd * float(np.sqrt(self.variance))
        return Measure(self.value, self.value - half, self.value + half)

    def row(self, spread: Spread | None) -> dict[str, Any]:
        return {"contrast": self.name, "family": self.family, **cells(self.measured(spread), "nats")}


Losses = dict[tuple[float, float, float], dict[int, float]]  # by sparsity, start and end, and by seed

LATE_START, TOO_LONG = "late start at high sparsity", "pruning too long at 80%"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (e)."""
    spread = evidence.noise.paired
    found = contrasts(evidence.tables)
    pooled = _pooled(found)
    late = next((p.measured(spread) for p in pooled if p.name == LATE_START), None)
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "late start at 80% less its mean at 20 and 40%, over sizes and budgets, nats",
        rule(evidence),
        late,
        {"Contrasts, nats": (c.row(spread) for c in (*pooled, *found))},
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    pooled, noise = _pooled(contrasts(evidence.tables)), evidence.noise
    if len(pooled) < 2:
        return "inconclusive", "the sweep doesn't hold 50/50, 25/75 and 25/50/25 at 20, 40 and 80%"
    bounds = {c.name: c.measured(noise.paired).interval for c in pooled}
    if all(own is None for own in bounds.values()):
        return "inconclusive", noise.no_interval("a contrast", paired=True)
    under = [name for name, own in bounds.items() if below(own, 0)]
    over = [name for name, own in bounds.items() if above(own, 0)]
    if under:
        return "not reproduced", f"it helps rather than hurts: {', '.join(under)}"
    if len(over) == len(bounds):
        return "reproduced", "both contrasts are shown to be over 0"
    return "inconclusive", f"contrasts shown to be over 0: {', '.join(over) or 'none'}"


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: the windows of both contrasts at their sparsities."""
    compared = {(sparsity, *window) for sparsity in (HIGH, *LOWER) for window in (BEST, LATE)} | {(HIGH, *LONG)}
    return {run["recipe"] for family in _families(tables) for run in family.rows() if key_of(run) in compared}


def _hurt(world: World, nats: float) -> Array:
    """Windows that start late or end late cost as much as 25/50/25 at each sparsity, and at 80% `nats` more."""
    wanted = {}
    for family in _families(world.tables):
        losses = {key_of(run): float(run["loss"]) for run in family.rows()}
        for run in family.rows():
            sparsity, *window = key_of(run)
            if tuple(window) in (LATE, LONG) and (home := losses.get((sparsity, *BEST))) is not None:
                wanted[run["recipe"]] = home + (nats if sparsity == HIGH else 0.0)
    return world.changed(wanted)


true_world, false_world = partial(_hurt, nats=HURTS), partial(_hurt, nats=0.0)  # mean losses of TRUE, of FALSE


def contrasts(tables: Tables) -> list[Contrast]:
    """Both contrasts of every size and budget that has the runs."""
    found = []
    for own in _families(tables):
        losses: Losses = defaultdict(dict)
        for run in own.rows():
            losses[key_of(run)][int(run["seed"])] = float(run["loss"])
        name = f"{own['size'][0]} {own['budget'][0]}"
        late = {s: _difference(losses, s, LATE) for s in (HIGH, *LOWER)}
        if all(d is not None for d in late.values()):
            (top, top_seeds), *rest = ((d.mean(), len(d)) for d in late.values() if d is not None)
            value = top - np.mean([m for m, _ in rest])
            variance = 1 / top_seeds + sum(1 / n for _, n in rest) / len(rest) ** 2
            found.append(Contrast(LATE_START, name, float(value), float(variance)))
        if (long := _difference(losses, HIGH, LONG)) is not None:
            found.append(Contrast(TOO_LONG, name, float(long.mean()), 1 / len(long)))
    return found


def _families(tables: Tables) -> list[Runs]:
    """The sparse runs of each size and budget."""
    runs = tables.selected(lambda r: r.serves(studies.SCHEDULES, studies.LAW, studies.SEEDS, studies.PAIRS) & r.sparse)
    keys = list(zip(runs["dense_tokens"], runs["size"], runs["budget"], strict=True))
    return [runs.where(np.array([own == key for own in keys])) for key in sorted(set(keys))]


def _pooled(found: list[Contrast]) -> list[Contrast]:
    """Each contrast over all sizes and budgets that have it."""
    pooled = []
    for name in (LATE_START, TOO_LONG):
        if own := [c for c in found if c.name == name]:
            variance = sum(c.variance for c in own) / len(own) ** 2
            pooled.append(Contrast(name, "all", float(np.mean([c.value for c in own])), float(variance)))
    return pooled


def _difference(losses: Losses, sparsity: float, window: tuple[float, float]) -> np.ndarray | None:
    """Loss of a window less that of 25/50/25, at each seed that both have."""
    own, best = losses.get((sparsity, *window), {}), losses.get((sparsity, *BEST), {})
    seeds = sorted(own.keys() & best.keys())
    return np.array([own[s] - best[s] for s in seeds]) if seeds else None
