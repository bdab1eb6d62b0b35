"""What a judged claim is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["reproduced", "not reproduced", "inconclusive"]


@dataclass(frozen=True)
class Detail:
    """A table behind a verdict: rows are dicts of one set of keys, numbers unrounded, None where unknown."""

    title: str
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Verdict:
    """One claim, judged.

    Attributes:
        claim: its letter.
        statement: what the paper says.
        quantity: what `measured` is, with its unit.
        measured: the number that stands for it; None where nothing could be measured.
        interval: its interval, None where the noise is unknown.
        paper: the paper's value.
        rule: how the verdict follows from numbers; written before any is seen.
        verdict: the outcome.
        because: the outcome's reason in a sentence.
        notes: what a reader must know to judge the judge.
        details: the tables behind it.
        departures: in what the sweep isn't the paper's experiment, so that the verdict is not one on the paper.
    """

    claim: str
    statement: str
    quantity: str
    measured: float | None
    interval: tuple[float, float] | None
    paper: str
    rule: str
    verdict: Outcome
    because: str
    notes: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()
    departures: tuple[str, ...] = ()
