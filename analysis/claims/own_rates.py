"""Claims (b), (c) and (f) again, with each sparse run at its own best learning rate instead of the dense run's.

The rules are those of the claims; they are applied to other runs, those of the study `own_rates`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from types import ModuleType

import numpy as np

from analysis.claims import final_size, law, pairs
from analysis.claims.verdict import Outcome, Verdict
from analysis.findings.compare import Setting
from analysis.findings.evidence import Evidence
from analysis.laws.law import Array
from analysis.rate_laws.own_rates import at_own_rates, multiples
from analysis.shown import plain
from analysis.tables.data import Tables
from analysis.worlds.world import World

AGAIN: tuple[ModuleType, ...] = (law, pairs, final_size)
SUFFIX = ", own rates"


@dataclasses.dataclass(frozen=True)
class Again:
    """One of AGAIN as a claim of its own: the same rule and the same worlds, for the runs at their own learning rates."""

    claim: ModuleType

    @property
    def CLAIM(self) -> str:
        return f"{self.claim.CLAIM}{SUFFIX}"

    @property
    def TRUE(self) -> str:
        return str(self.claim.TRUE)

    @property
    def FALSE(self) -> str:
        return str(self.claim.FALSE)

    def rule(self, evidence: Evidence) -> tuple[Outcome, str]:
        """The outcome and its reason."""
        found: tuple[Outcome, str] = self.claim.rule(evidence.own_rates)
        return found

    def true_world(self, world: World) -> Array:
        """Mean losses of `TRUE`."""
        return self._within(world, self.claim.true_world)

    def false_world(self, world: World) -> Array:
        """Mean losses of `FALSE`."""
        return self._within(world, self.claim.false_world)

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
    second = {verdict.claim: verdict for verdict in (claim.judge(own) for claim in AGAIN)}
    rates = ", ".join(
        f"{low:.3g}" + (f" to {high:.3g}" if high > 1.001 * low else "") + f" at {sparsity:.0%}"
        for sparsity, (low, high) in multiples(tables).items()
    )
    found = []
    for first in verdicts:
        found.append(first)
        if first.claim in second:
            found.append(_beside(first, second[first.claim], rates))
    return tuple(found)


def _beside(first: Verdict, second: Verdict, rates: str) -> Verdict:
    verdict = "the rule says the same" if first.verdict == second.verdict else f"the rule says {first.verdict}"
    differs = (
        f"Each sparse run has its own best learning rate here ({rates} times the dense run's, chosen in a sweep of rates); with one rate for "
        f"all, as in the paper, {verdict} and {_said(first)} was measured instead of {_said(second)}."
    )
    return dataclasses.replace(
        second,
        claim=second.claim + SUFFIX,
        statement=f"{second.statement[:-1]}, each sparse run at its own best learning rate.",
        departures=first.departures,
        notes=(differs, *second.notes),
    )


def _said(verdict: Verdict) -> str:
    ends = verdict.interval
    return plain(verdict.measured) + (f" [{plain(ends[0])}, {plain(ends[1])}]" if ends else "")
