"""The paper's claims, each with a rule that was written before its numbers were seen."""

from __future__ import annotations

import dataclasses
from typing import Any

from analysis.claims import failure_modes, final_size, grid, law, pairs, robustness, schedule
from analysis.claims.verdict import Detail, Outcome, Verdict
from analysis.evidence import Evidence

CLAIMS = (schedule, law, pairs, robustness, failure_modes, final_size, grid)

__all__ = ["CLAIMS", "Detail", "Outcome", "Verdict", "as_json", "judge", "plain_json"]


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """The paper's claims (a) to (f), and (g), which is ours."""
    departures = evidence.tables.departures
    return tuple(dataclasses.replace(claim.judge(evidence), departures=departures) for claim in CLAIMS)


def as_json(verdicts: tuple[Verdict, ...]) -> list[dict[str, Any]]:
    """Verdicts as plain JSON: what isn't a finite number is null."""
    return [plain_json(dataclasses.asdict(verdict)) for verdict in verdicts]


def plain_json(value: Any) -> Any:
    """JSON has neither infinity nor nan: both become null."""
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    return value
