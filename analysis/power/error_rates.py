"""The error rates of a claim's rule in simulated sweeps of known truth, and the sentence that they add to a verdict; processes that judge such sweeps."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from analysis.claims import Claim
from analysis.claims.verdict import ClaimRates, Outcome, Rates, Verdict

MOST_FALSE_ALARMS = 0.05  # share of worlds in which the claim is exactly true, up to which "not reproduced" stands
ENOUGH_POWER = 0.8
FEW = 16  # worlds up to which other processes cost more than they save
STANDS = f"""
A "not reproduced" stands only where the rule would say so in at most {MOST_FALSE_ALARMS:.0%} of sweeps with this one's runs and noise if the claim
were exactly true. Otherwise, and where that share isn't known, it reads "inconclusive: this sweep can't tell".
""".strip().replace("\n", " ")

Judged = TypeVar("Judged")


@dataclass(frozen=True)
class Power:
    """The error rates of all rules with a sweep.

    Attributes:
        worlds, resamples: how many of each.
        noise, truth: what was drawn, and from which law, in words.
        claims: by claim.
        laws: verdicts of each claim where one law is the whole truth, by law and claim.
        reason: why no world can be drawn; None where worlds were.
    """

    worlds: int
    resamples: int
    noise: str
    truth: str
    claims: Mapping[str, ClaimRates]
    laws: Mapping[str, Mapping[str, Rates]]
    reason: str | None = None

    @classmethod
    def unknown(cls, reason: str) -> Power:
        """No rates, and why."""
        return cls(0, 0, "", "", {}, {}, reason)


def rates_of(claim: Claim, true: Sequence[tuple[Outcome, str]], false: Sequence[tuple[Outcome, str]]) -> ClaimRates:
    """The rates of a claim's rule from what it says, and why, of worlds in which the claim is true and is false."""
    reasons = Counter(because for outcome, because in true if outcome == "inconclusive")
    hindrance = reasons.most_common(1)[0][0] if reasons else None
    when_true, when_false = (Rates.of([outcome for outcome, _ in said]) for said in (true, false))
    return ClaimRates(when_true, when_false, claim.TRUE, claim.FALSE, hindrance)


def hold(verdicts: tuple[Verdict, ...], power: Power) -> tuple[Verdict, ...]:
    """The verdicts with the error rates of their rules; a "not reproduced" that they don't allow becomes inconclusive (see `STANDS`)."""
    return tuple(_held(verdict, power) for verdict in verdicts)


def _held(verdict: Verdict, power: Power) -> Verdict:
    rates = power.claims.get(verdict.claim)
    found = dataclasses.replace(verdict, ruled=verdict.verdict, rates=rates)
    if verdict.verdict != "not reproduced":
        return found
    if rates is None:
        why = f"how often it would say so of a true claim isn't known: {power.reason or 'no sweep can be simulated'}"
    elif rates.true.share(rates.true.not_reproduced) > MOST_FALSE_ALARMS:
        share = rates.true.said(rates.true.not_reproduced)
        why = f"it would say so in {share} of such sweeps if the claim were exactly true"
    else:
        return found
    because = f"this sweep can't tell: the rule alone says not reproduced ({verdict.because}), but {why}"
    return dataclasses.replace(found, verdict="inconclusive", because=because)


def over_worlds(judge: Callable[[int], Judged], worlds: int, cores: int | None) -> Iterator[Judged]:
    """The result of each world, by its number, the same whatever the number of processes.

    Args:
        cores: processes; all cores when None, and one for a few worlds.
    """
    if cores is None:
        cores = 1 if worlds <= FEW else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if cores == 1:
        yield from map(judge, range(worlds))
        return
    # A fresh interpreter each: this one may hold threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_end_with_parent) as pool:
        yield from pool.map(judge, range(worlds), chunksize=max(1, min(10, worlds // cores // 2)))


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone: killed, it can't say so."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
