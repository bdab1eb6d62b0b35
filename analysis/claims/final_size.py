"""Claim (f): at 80% sparsity the final model is half the size of the dense model of equal loss."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import geometric_mean
from analysis.findings.pairs import Pair, PairResult, find_pairs
from analysis.fits.outcome import Interval, above, below, percentiles
from analysis.laws.law import Array
from analysis.tables.data import Tables
from analysis.worlds.world import World

SPARSITY = 0.8
WANTED = 2.0
LEAST = 0.9 * WANTED  # the margin of claim (c)

CLAIM = "f"
STATEMENT = "At 80% sparsity the final model is half the size of the dense model of equal loss."
PAPER = "half the size at equal training compute and tokens (N_avg ≈ .40 N, N_final = .20 N)"
RULE = f"""
N_eff, the dense size of equal loss at the sparse run's tokens, is found as in claim (c), from the pairs at {SPARSITY:.0%} with a
partner matched on prunable N_avg. The ratio N_eff / N_final is averaged over those pairs (geometric mean), with a 95% interval from
the seeds' noise of a pair's difference and that of the dense law. Reproduced: the lower bound is at least {LEAST:g}, ten percent under
{WANTED:g}. Not reproduced: the upper bound is under {LEAST:g}. Otherwise inconclusive.
""".strip().replace("\n", " ")

TRUE = f"at {SPARSITY:.0%} N_eff/N_final is {WANTED:g} in every pair"
FALSE = f"at {SPARSITY:.0%} N_eff/N_final is {LEAST:g} in every pair"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (f)."""
    results = _chosen(evidence)
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "N_eff/N_final at 80%, geometric mean over pairs",
        rule(evidence),
        _pooled(results),
        {"Pairs at 80%": map(_row, results)},
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    measured, interval = _pooled(_chosen(evidence))
    if measured is None:
        no_pair = "the sweep holds no run at 80% with a dense partner of equal N_avg"
        return "inconclusive", evidence.comparison.dense_reason or no_pair
    if interval is None:
        return "inconclusive", evidence.noise.no_interval("a ratio")
    if above(interval, LEAST):
        return "reproduced", f"the final model ends at the loss of a dense one at least {LEAST:g} times its size"
    if below(interval, LEAST):
        return "not reproduced", f"the final model ends at the loss of a dense one of under {LEAST:g} times its size"
    return "inconclusive", f"the interval holds {LEAST:g}"


def _worth(world: World, ratio: float) -> Array:
    """The sparse runs of the pairs are worth dense runs of `ratio` times what is left of them."""
    wanted = {}
    for pair in filter(_counts, find_pairs(world.tables)):
        left, tokens = float(pair.sparse["N_final"][0]), float(pair.sparse["D"][0])
        wanted[pair.sparse["recipe"][0]] = world.at_size(ratio * left, tokens)
    return world.changed(wanted)


true_world, false_world = partial(_worth, ratio=WANTED), partial(_worth, ratio=LEAST)  # mean losses of TRUE, of FALSE


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: both sides of each pair at 80%."""
    return {recipe for pair in filter(_counts, find_pairs(tables)) for recipe in pair.recipes}


def _counts(pair: Pair) -> bool:
    return pair.match == "prunable" and bool(np.isclose(pair.sparsity, SPARSITY))


def _chosen(evidence: Evidence) -> list[PairResult]:
    return [r for r in evidence.pairs if _counts(r.pair) and r.ratio]


def _to_final(result: PairResult) -> float:
    return result.pair.n_avg / float(result.pair.sparse["N_final"][0])


def _pooled(results: list[PairResult]) -> tuple[float | None, Interval | None]:
    return geometric_mean(
        (r.ratio.value * _to_final(r) for r in results if r.ratio),
        (r.ratio_draws * _to_final(r) for r in results if r.ratio_draws is not None),
    )


def _row(result: PairResult) -> dict[str, Any]:
    pair, share = result.pair, _to_final(result)
    interval = percentiles(result.ratio_draws)
    return {
        "pair": pair.name,
        "seeds": pair.seeds,
        "N_final": float(pair.sparse["N_final"][0]),
        "N_avg": pair.n_avg,
        "N_eff": result.ratio.value * pair.n_avg if result.ratio else None,
        "N_eff/N_final": result.ratio.value * share if result.ratio else None,
        "low": interval[0] * share if interval else None,
        "high": interval[1] * share if interval else None,
        "D": float(pair.sparse["D"][0]),
        "effective FLOPs, sparse": float(pair.sparse["effective_flops"][0]),
        "effective FLOPs, dense": float(pair.partner["effective_flops"][0]),
    }
