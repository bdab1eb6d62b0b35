"""The claims, each with a rule that was written before its numbers were seen: those of pruning while training, and of training after it."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

from analysis.claims import (
    failure_modes,
    final_size,
    grid,
    law,
    own_rates,
    pairs,
    post_training,
    robustness,
    schedule,
    unification,
)
from analysis.claims.own_rates import AGAIN, Again
from analysis.claims.verdict import Detail, Outcome, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.unification_map import has_map
from analysis.rates.own_rates import has_own_rates
from analysis.shown import plain_json
from analysis.tables.data import Tables
from analysis.tables.post_training import has_post_training
from repro import studies

Claim = ModuleType | Again
CLAIMS = (schedule, law, pairs, robustness, failure_modes, final_size, grid)

AFTER_PRUNING = post_training.CLAIMS

__all__ = [
    "AFTER_PRUNING",
    "CLAIMS",
    "Claim",
    "Detail",
    "Outcome",
    "Verdict",
    "as_json",
    "judge",
    "judged",
    "judged_after_pruning",
]


def judged(tables: Tables) -> tuple[Claim, ...]:
    """The claims on pruning while training that a sweep is judged on: (a) to (g); (h) with a map; (b), (c) and (f) again with runs at their own rates.

    None where all that a sweep holds is parents and their pruned models. Each has CLAIM, what it is called; `rule`, the
    outcome of some evidence; and the worlds in which it is true and false.
    """
    if has_post_training(tables) and not _has_others(tables):
        return ()
    found: list[Claim] = [*CLAIMS, unification] if has_map(tables) else [*CLAIMS]
    return (*found, *map(Again, AGAIN)) if has_own_rates(tables) else tuple(found)


def judged_after_pruning(tables: Tables) -> tuple[ModuleType, ...]:
    """Those on training after pruning, (p1) to (p8), where a sweep has that study; they have the same names."""
    return AFTER_PRUNING if has_post_training(tables) else ()


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """What the rules say of the paper's claims (a) to (f), and of (g), which is ours.

    Of a sweep with a map (h) too, which also is; of one with runs at their own learning rates, (b), (c) and (f) again; of
    one with training after pruning (p1) to (p8).
    """
    tables = evidence.tables
    claims: tuple[ModuleType, ...] = (*CLAIMS, unification) if unification.applies(evidence) else CLAIMS
    if not judged(tables):
        claims = ()
    verdicts = tuple(dataclasses.replace(claim.judge(evidence), departures=tables.departures) for claim in claims)
    if claims and own_rates.applies(evidence):
        verdicts = own_rates.judge_again(evidence, verdicts)
    return (*verdicts, *(claim.judge(evidence) for claim in judged_after_pruning(tables)))


def _has_others(tables: Tables) -> bool:
    """Whether a sweep has runs of a study that the claims on pruning while training read."""
    mine = {studies.PARENTS, studies.POST_TRAINING, studies.CONTROLS, studies.LEARNING_RATES, studies.RUNS}
    return any(set(own) - mine for own in tables.runs["studies"])


def as_json(verdicts: tuple[Verdict, ...]) -> list[dict[str, Any]]:
    """Verdicts as plain JSON: what isn't a finite number is null."""
    return [plain_json(dataclasses.asdict(verdict)) for verdict in verdicts]
