"""The paper's claims, each with a rule that was written before its numbers were seen."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

from analysis.claims import failure_modes, final_size, grid, law, own_rates, pairs, robustness, schedule, unification
from analysis.claims.own_rates import AGAIN, Again
from analysis.claims.verdict import Detail, Outcome, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.unification_map import has_map
from analysis.rates.own_rates import has_own_rates
from analysis.shown import plain_json
from analysis.tables.data import Tables

Claim = ModuleType | Again
CLAIMS = (schedule, law, pairs, robustness, failure_modes, final_size, grid)

__all__ = ["CLAIMS", "Claim", "Detail", "Outcome", "Verdict", "as_json", "judge", "judged"]


def judged(tables: Tables) -> tuple[Claim, ...]:
    """The claims that a sweep is judged on: (a) to (g); (h) with a map; (b), (c) and (f) again with runs at their own rates.

    Each has CLAIM, what it is called; `rule`, the outcome of some evidence; and the worlds in which it is true and false.
    """
    found: list[Claim] = [*CLAIMS, unification] if has_map(tables) else [*CLAIMS]
    return (*found, *map(Again, AGAIN)) if has_own_rates(tables) else tuple(found)


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """What the rules say of the paper's claims (a) to (f), and of (g), which is ours.

    Of a sweep with a map (h) too, which also is; of one with runs at their own learning rates, (b), (c) and (f) again.
    """
    departures = evidence.tables.departures
    claims = (*CLAIMS, unification) if unification.applies(evidence) else CLAIMS
    verdicts = tuple(dataclasses.replace(claim.judge(evidence), departures=departures) for claim in claims)
    return own_rates.judge_again(evidence, verdicts) if own_rates.applies(evidence) else verdicts


def as_json(verdicts: tuple[Verdict, ...]) -> list[dict[str, Any]]:
    """Verdicts as plain JSON: what isn't a finite number is null."""
    return [plain_json(dataclasses.asdict(verdict)) for verdict in verdicts]
