"""The claims, each with a rule that was written before its numbers were seen: on pruning during training, on the direction of N(t), and on training after pruning."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

from analysis.claims import (
    arrow,
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
from analysis.shown import plain_json
from analysis.tables.data import Tables, has_growth, has_mirror, has_own_rates, has_post_training
from repro import studies

Claim = ModuleType | Again
CLAIMS = (schedule, law, pairs, robustness, failure_modes, final_size, grid)

AFTER_PRUNING = post_training.CLAIMS
IN_ANY_DIRECTION = arrow.CLAIMS


def of_the_paper(tables: Tables) -> tuple[Claim, ...]:
    """The claims on pruning during training that apply to a sweep: (a) to (g); (h) with a map; (b), (c) and (f) again with runs at their own learning rates.

    None where all that a sweep holds is parents and their pruned models, or runs of N(t) in any direction with dense runs
    beside them. Each has CLAIM, what it is called; `rule`, the outcome of some evidence and its reason; and the worlds in which it is
    true and false.
    """
    if (has_post_training(tables) or has_mirror(tables) or has_growth(tables)) and not _has_others(tables):
        return ()
    found: list[Claim] = [*CLAIMS, unification] if has_map(tables) else [*CLAIMS]
    return (*found, *map(Again, AGAIN)) if has_own_rates(tables) else tuple(found)


def in_any_direction(tables: Tables) -> tuple[ModuleType, ...]:
    """The claims on the direction of N(t), (i) to (v), for which a sweep has the studies; their modules have the same names."""
    return arrow.judged(tables)


def judged(tables: Tables) -> tuple[Claim, ...]:
    """The claims whose error rates come from simulated sweeps: on pruning during training and on the direction of N(t)."""
    return (*of_the_paper(tables), *in_any_direction(tables))


def judged_after_pruning(tables: Tables) -> tuple[ModuleType, ...]:
    """The claims on training after pruning, (p1) to (p8), if a sweep has that study; their modules have the same names."""
    return AFTER_PRUNING if has_post_training(tables) else ()


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """The verdicts on the paper's claims (a) to (f), and on (g), which is ours.

    Of a sweep with a map (h) too, which also is; of one with runs at their own learning rates, (b), (c) and (f) again; of
    one with mirrored sets or growth (i) to (v); of one with training after pruning (p1) to (p8).
    """
    tables, claims = evidence.tables, of_the_paper(evidence.tables)
    first = (claim.judge(evidence) for claim in claims if not isinstance(claim, Again))
    verdicts = tuple(dataclasses.replace(verdict, departures=tables.departures) for verdict in first)
    if any(isinstance(claim, Again) for claim in claims):
        verdicts = own_rates.judge_again(evidence, verdicts)
    others = (*in_any_direction(tables), *judged_after_pruning(tables))
    return (*verdicts, *(claim.judge(evidence) for claim in others))


def _has_others(tables: Tables) -> bool:
    """Whether a sweep has runs of a study that the claims on pruning while training read; beside mirrored sets and growth, sparse ones."""
    mine = {
        studies.PARENTS, studies.POST_TRAINING, studies.CONTROLS, studies.LEARNING_RATES, studies.RUNS,
        studies.MIRROR, studies.GROWTH,
    }  # fmt: skip
    dense_count = not (has_mirror(tables) or has_growth(tables))
    rows = zip(tables.runs["studies"], tables.runs.sparse, strict=True)
    return any(set(own) - mine and (sparse or dense_count) for own, sparse in rows)


def as_json(verdicts: tuple[Verdict, ...]) -> list[dict[str, Any]]:
    """Verdicts as plain JSON; numbers that aren't finite become null."""
    return [plain_json(dataclasses.asdict(verdict)) for verdict in verdicts]
