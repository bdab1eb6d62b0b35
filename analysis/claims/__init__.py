"""The paper's claims, each with a rule that was written before its numbers were seen."""

from __future__ import annotations

import dataclasses
from typing import Any

from analysis.claims import failure_modes, final_size, grid, law, own_rates, pairs, robustness, schedule, unification
from analysis.claims.verdict import Detail, Outcome, Verdict
from analysis.evidence import Evidence
from analysis.shown import plain_json

CLAIMS = (schedule, law, pairs, robustness, failure_modes, final_size, grid)

__all__ = ["CLAIMS", "Detail", "Outcome", "Verdict", "as_json", "judge"]


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """The paper's claims (a) to (f), and (g), which is ours.

    Of a sweep with a map (h) too, which also is; of one with runs at their own learning rates, (b), (c) and (f) again.
    """
    departures = evidence.tables.departures
    judged = (*CLAIMS, unification) if unification.applies(evidence) else CLAIMS
    verdicts = tuple(dataclasses.replace(claim.judge(evidence), departures=departures) for claim in judged)
    return own_rates.judge_again(evidence, verdicts) if own_rates.applies(evidence) else verdicts


def as_json(verdicts: tuple[Verdict, ...]) -> list[dict[str, Any]]:
    """Verdicts as plain JSON: what isn't a finite number is null."""
    return [plain_json(dataclasses.asdict(verdict)) for verdict in verdicts]
