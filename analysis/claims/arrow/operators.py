"""Claim (ii), ours: if N(t) is equal, it doesn't matter by which operator a model grows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from analysis.claims.arrow import direction
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.arrow import SHARE, Arrow
from analysis.findings.dense_slope import Slope
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.findings.matched import Matched, matched
from analysis.findings.set_contrasts import alike, apart, size_ratio
from analysis.laws.law import Array
from analysis.noise.spread import CONFIDENCE, Spread, paired_spread
from analysis.tables.data import Runs, Tables
from analysis.tables.growth import GrownLife, grown
from analysis.worlds.world import World

CLAIM = "ii"
STATEMENT = "If N(t) is equal, it doesn't matter by which operator a model grows."
PAPER = "its law depends on a run's N(t) only through the mean; read off figure 3 of arXiv 2405.15319, operators end up to .11 nats apart at one N(t), one run each"
RULE = f"""
Operators start from one small model and grow it to the same number of weights; the larger models are trained at one learning rate on the same text, so that their N(t) is equal. Pairs of operators
are compared at equal seeds. The noise of a difference is the residual of the losses after a mean for each operator and each seed (times √2); intervals are Student's t,
simultaneous at 95% over all pairs (Bonferroni). A difference is turned into a ratio of dense sizes of equal loss, whose interval includes the slope's error, as in claim (i), at the N_avg of the whole life.
Reproduced: every pair's ratio lies within [{1 / SHARE:.3f}, {SHARE}]. Not reproduced: some pair's lies wholly outside. Otherwise inconclusive, also if the slope isn't known. Other kinds of runs of equal N_avg
are compared in claim (i) and don't enter this verdict.
""".strip().replace("\n", " ")

TRUE = "the law in N_avg over the whole life is the truth, so that all operators end equal"
FALSE = f"the same, but the models of one operator have N_eff of {SHARE} times their N_avg"
true_world = World.losses  # mean losses of TRUE

Apart = tuple[GrownLife, str, str, Matched, Measure, Measure | None]  # difference, and ratio of sizes


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (ii)."""
    found, spread = _found(evidence)
    largest = max(found, key=lambda own: abs(own[4].value), default=None)
    tables = {
        "Pairs of operators, the first less the second, nats": map(_row, found),
        "Mean losses beside dense runs from scratch, nats/token": _means(evidence.arrow),
    }
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "largest difference of two operators' mean losses, nats"
        + (f" ({largest[1]} − {largest[2]})" if largest else ""),
        rule(evidence),
        largest[4] if largest else None,
        tables,
        direction.notes(None if isinstance(spread, str) else spread),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    found, spread = _found(evidence)
    if not found:
        return "inconclusive", "no two operators have a seed in common"
    if isinstance(spread, str):
        return "inconclusive", f"{spread}, so a difference has no interval"
    if any(own[5] is None for own in found):
        return "inconclusive", "no slope of the dense loss to turn nats into sizes"
    outside = [
        f"{one} − {other} ({own.value:+.3f} nats)" for _, one, other, _, own, ratio in found if ratio and apart(ratio)
    ]
    if outside:
        return "not reproduced", f"more than ten percent of N_avg apart: {', '.join(outside)}"
    inside = sum(ratio is not None and alike(ratio) for *_, ratio in found)
    if inside == len(found):
        return "reproduced", f"all {inside} pairs of operators have equal N_eff, to ten percent"
    why = f"pairs of operators shown to be within ten percent of N_avg: {inside} of {len(found)}; outside: none"
    return "inconclusive", why


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    life = next((life for life in grown(world.tables) if len(life.operators) > 1), None)
    if life is None:
        return world.losses()
    *_, last = life.operators.values()
    return world.changed({last["recipe"][0]: world.at_size(SHARE * life.n_avg, life.d)})


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: every operator's runs, whose parents come with them."""
    return {runs["recipe"][0] for life in grown(tables) for runs in life.operators.values()}


def _found(evidence: Evidence) -> tuple[list[Apart], Spread | str]:
    """Each pair of operators of a life with the margin there, and the noise of a difference, or why it isn't known."""
    arrow, lives = evidence.arrow, grown(evidence.tables)
    pairs = [
        (life, one, other, pair)
        for life in lives
        for one, other in combinations(life.operators, 2)
        if (pair := matched(life.operators[one], life.operators[other])) is not None
    ]
    spread = _noise(lives)
    tail = (1 - CONFIDENCE) / 2 / max(1, len(pairs))
    known = spread if isinstance(spread, Spread) else None
    found = []
    for at, (life, one, other, pair) in enumerate(pairs):
        slope = arrow.slope(life.n_avg, life.d)
        ratio = size_ratio(arrow, pair, slope, known, tail, at) if isinstance(slope, Slope) else None
        found.append((life, one, other, pair, pair.measure(known, tail), ratio))
    return found, spread


def _noise(lives: tuple[GrownLife, ...]) -> Spread | str:
    groups = [
        (
            [name for name, runs in life.operators.items() for _ in runs["seed"]],
            list(np.concatenate([runs["seed"] for runs in life.operators.values()])),
            np.concatenate([runs["loss"] for runs in life.operators.values()]),
        )
        for life in lives
    ]
    return paired_spread(groups)


def _row(found: Apart) -> dict[str, Any]:
    life, one, other, pair, difference, ratio = found
    row = {"life": life.name, "first": one, "second": other, "seeds": pair.seeds}
    return row | cells(difference, "difference") | cells(ratio, "ratio of N_eff", "its low", "its high")


def _means(arrow: Arrow) -> Iterator[dict[str, Any]]:
    for life in grown(arrow.tables):
        law = arrow.law
        said = None if isinstance(law, str) else float(
            law.predict({"N_avg": np.array([life.n_avg]), "D": np.array([life.d])})[0]
        )  # fmt: skip
        named: list[tuple[str, Runs]] = list(life.operators.items())
        named += [(f"{operator}, lr × {multiple:.3g}", runs) for (operator, multiple), runs in life.tried.items()]
        named += [("not grown", life.ungrown)] if len(life.ungrown) else []
        for recipe in dict.fromkeys(life.scratch["recipe"]):
            own = life.scratch.where(life.scratch["recipe"] == recipe)
            named.append((f"from scratch, {own['size'][0]}", own))
        for name, runs in named:
            yield {
                "life": life.name, "run": name, "weights at the end": float(runs["N_prunable"][0]),
                "N_avg of the life": float(runs.life["N_avg"][0]), "seeds": len(runs), "loss": float(runs["loss"].mean()),
                "the law of dense runs at the operators' N_avg": said,
            }  # fmt: skip
