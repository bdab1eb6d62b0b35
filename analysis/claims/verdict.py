"""Verdict: a judged claim, with its numbers, its interval and the error rates of its rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy import stats

from analysis.findings.law_errors import Measure
from analysis.fits.outcome import Interval

Outcome = Literal["reproduced", "not reproduced", "inconclusive"]
LEVEL = 0.95


@dataclass(frozen=True)
class Detail:
    """A table behind a verdict: rows are dicts of one set of keys, numbers unrounded, None where unknown."""

    title: str
    rows: tuple[dict[str, Any], ...]


def details_of(rows: Mapping[str, Iterable[dict[str, Any]]]) -> tuple[Detail, ...]:
    """Tables by their titles; those without rows are left out."""
    found = (Detail(title, tuple(own)) for title, own in rows.items())
    return tuple(detail for detail in found if detail.rows)


@dataclass(frozen=True)
class Rates:
    """In how many simulated sweeps a rule gave each verdict."""

    worlds: int
    reproduced: int
    not_reproduced: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Rates:
        found = Counter(outcomes)
        return cls(len(outcomes), found["reproduced"], found["not reproduced"])

    def share(self, count: int) -> float:
        return count / self.worlds

    def interval(self, count: int) -> tuple[float, float]:
        """Clopper and Pearson's 95% interval of the share of which `count` of these worlds are a sample."""
        found = stats.binomtest(count, self.worlds).proportion_ci(LEVEL)
        return float(found.low), float(found.high)

    def said(self, count: int) -> str:
        """A share with its interval, in percent."""
        low, high = self.interval(count)
        return f"{self.share(count):.0%} [{low:.0%}, {high:.0%}]"


@dataclass(frozen=True)
class ClaimRates:
    """Error rates of one claim's rule.

    Attributes:
        true, false: verdicts where the claim is exactly true, and where it is false by its stated margin.
        when_true, when_false: what these worlds are.
        hindrance: why most of the inconclusive verdicts are, where it is exactly true; None where none is.
    """

    true: Rates
    false: Rates
    when_true: str
    when_false: str
    hindrance: str | None = None

    @property
    def power(self) -> float:
        """Share of the worlds in which the claim is exactly true whose verdict is "reproduced"."""
        return self.true.share(self.true.reproduced)

    @property
    def said(self) -> str:
        """All three rates, in words."""
        return (
            f'"not reproduced" of a claim that is exactly true {self.true.said(self.true.not_reproduced)}; '
            f'"reproduced" of one that is false by its margin {self.false.said(self.false.reproduced)}; '
            f'"reproduced" of a true one {self.true.said(self.true.reproduced)}'
        )


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
        ruled: what the rule alone says, once `verdict` has been held to its error rates.
        rates: these; None where they aren't known.
    """

    claim: str
    statement: str
    quantity: str
    measured: float | None
    interval: Interval | None
    paper: str
    rule: str
    verdict: Outcome
    because: str
    notes: tuple[str, ...] = ()
    details: tuple[Detail, ...] = ()
    departures: tuple[str, ...] = ()
    ruled: Outcome | None = None
    rates: ClaimRates | None = None


@dataclass(frozen=True)
class Stated:
    """A claim before any number is seen. Attributes: as in Verdict."""

    claim: str
    statement: str
    paper: str
    rule: str

    def filled(
        self,
        quantity: str,
        outcome: tuple[Outcome, str],
        found: Measure | tuple[float | None, Interval | None] | None,
        details: Mapping[str, Iterable[dict[str, Any]]],
        notes: Iterable[str] = (),
    ) -> Verdict:
        """The verdict of an outcome and its reason, for which a number with its interval stands; `details`: see `details_of`."""
        measured, interval = (found.value, found.interval) if isinstance(found, Measure) else found or (None, None)
        return Verdict(
            claim=self.claim,
            statement=self.statement,
            quantity=quantity,
            paper=self.paper,
            rule=self.rule,
            measured=measured,
            interval=interval,
            verdict=outcome[0],
            because=outcome[1],
            notes=tuple(notes),
            details=details_of(details),
        )
