"""Claims (b), (c) and (f) again, with each sparse run at its own best learning rate instead of the dense run's.

The rules are those of the claims; they are applied to other runs, those of the study `own_rates`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property, partial
from types import ModuleType

import numpy as np

from analysis.claims import final_size, law, pairs
from analysis.claims.verdict import Outcome, Verdict
from analysis.findings.compare import Setting
from analysis.findings.evidence import Evidence
from analysis.laws.law import Array
from analysis.rate_laws.own_rates import at_own_rates, multiples
from analysis.shown import with_ends
from analysis.tables.data import Tables
from analysis.worlds.world import World

AGAIN: tuple[ModuleType, ...] = (law, pairs, final_size)
SUFFIX = ", own rates"


class Again:
    """One of AGAIN as a claim of its own: the same rule and the same worlds, for the runs at their own learning rates."""

    def __init__(self, claim: ModuleType) -> None:
        self.claim = claim
        self.CLAIM, self.TRUE, self.FALSE = f"{claim.CLAIM}{SUFFIX}", str(claim.TRUE), str(claim.FALSE)
        self.true_world = partial(self._within, losses=claim.true_world)  # mean losses of TRUE
        self.false_world = partial(self._within, losses=claim.false_world)  # mean losses of FALSE

    def rule(self, evidence: Evidence) -> tuple[Outcome, str]:
        """The outcome and its reason."""
        found: tuple[Outcome, str] = self.claim.rule(evidence.own_rates)
        return found

    def repeated(self, tables: Tables) -> set[str]:
        """Configurations, by recipe hash, for which further seeds would narrow its intervals."""
        found: set[str] = self.claim.repeated(at_own_rates(tables))
        return found

    def _within(self, world: World, losses: Callable[[World], Array]) -> Array:
        """Mean losses of all runs, where `losses` are those of the runs at their own rates."""
        own = at_own_rates(world.tables)
        at = {run_id: i for i, run_id in enumerate(world.tables.runs["run_id"])}
        chosen = np.array([at[run_id] for run_id in own.runs["run_id"]], dtype=int)
        found = world.losses()
        found[chosen] = losses(World(own, world.theta, world.settings[chosen]))
        return found


class _WithoutExtremes(Evidence):
    """Evidence without the law set's held-out extremes, which have no part in a verdict and cost most of its time."""

    @cached_property
    def settings(self) -> dict[str, Setting]:
        return self.comparison.settings


def judge_again(evidence: Evidence, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The verdicts, with a second one after each claim of AGAIN."""
    tables = evidence.tables
    own = _WithoutExtremes(at_own_rates(tables), evidence.resamples, evidence.seed)
    second: dict[str, Verdict] = {claim.CLAIM: claim.judge(own) for claim in AGAIN}
    rates = ", ".join(
        f"{low:.3g}" + (f" to {high:.3g}" if high > 1.001 * low else "") + f" at {sparsity:.0%}"
        for sparsity, (low, high) in multiples(tables).items()
    )
    beside = {v.claim: (_beside(v, second[v.claim], rates),) for v in verdicts if v.claim in second}
    return tuple(own for first in verdicts for own in (first, *beside.get(first.claim, ())))


def _beside(first: Verdict, second: Verdict, rates: str) -> Verdict:
    verdict = "the rule says the same" if first.verdict == second.verdict else f"the rule says {first.verdict}"
    measured = [with_ends(own.measured, own.interval) for own in (first, second)]
    differs = (
        f"Each sparse run has its own best learning rate here ({rates} times the dense run's, chosen in a sweep of rates); with one rate for "
        f"all, as in the paper, {verdict} and {measured[0]} was measured instead of {measured[1]}."
    )
    return dataclasses.replace(
        second,
        claim=second.claim + SUFFIX,
        statement=f"{second.statement[:-1]}, each sparse run at its own best learning rate.",
        departures=first.departures,
        notes=(differs, *second.notes),
    )
