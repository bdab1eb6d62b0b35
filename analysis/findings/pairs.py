"""Sparse runs beside their dense partners: the dense size of equal loss, found locally.

A pair shares tokens, batch, steps, budget and seed. The partner gives the level of the dense loss at (nearly) the
sparse run's N_avg and D; the dense law gives only the slope in N there. So with g = A / N_p^alpha, the size term at
the partner's N_p, L_dense(N_eff, D) = L_sparse is solved by N_eff = N_p * (1 + (L_sparse - L_p) / g)^(-1 / alpha).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from analysis.findings.compare import Comparison
from analysis.findings.law_errors import Measure
from analysis.findings.matched import Matched
from analysis.fits.outcome import percentiles
from analysis.laws.law import Array
from analysis.noise.configurations import CLOSE
from analysis.noise.spread import Spread
from analysis.tables.data import Runs, Tables
from repro import studies

Match = Literal["prunable", "total"]
PAIR_DRAWS = 20_000  # enough for the tails of an interval that is simultaneous over all pairs
FAR = 1e6  # a ratio of sizes past which nothing more is said
MATCHED = 0.01  # share of the wanted count within which a partner matches in it, whether or not it does in the other


@dataclass(frozen=True)
class Pair(Matched):
    """One sparse configuration and one dense partner, over the seeds that both have.

    Attributes:
        match: the count in which they agree: prunable weights on average, or all parameters on average.
    """

    match: Match

    @property
    def sparse(self) -> Runs:
        return self.one

    @property
    def partner(self) -> Runs:
        return self.other

    @property
    def sparsity(self) -> float:
        return float(self.sparse["sparsity"][0])

    @property
    def name(self) -> str:
        return f"{self.sparse['size'][0]} {self.sparse['budget'][0]} at {self.sparsity:.0%}"

    @property
    def n_avg(self) -> float:
        return float(self.sparse["N_avg"][0])

    @property
    def n_partner(self) -> float:
        return float(self.partner["N_prunable"][0])


@dataclass(frozen=True)
class PairResult:
    """The result of one pair.

    Attributes:
        difference: sparse minus dense loss, nats.
        ratio: N_eff / N_avg; None for a partner matched on the total or where no dense law could be fitted.
        ratio_draws: its resamples (R,); None where the noise is unknown.
    """

    pair: Pair
    difference: Measure
    ratio: Measure | None
    ratio_draws: Array | None


def find_pairs(tables: Tables) -> list[Pair]:
    """Pairs of the studies `pairs` and `seeds`."""
    return pairs_among(
        tables.selected(lambda r: r.serves(studies.PAIRS) | r.serves(studies.SEEDS) & (~r.sparse | r.at_paper_schedule))
    )


def pairs_among(runs: Runs) -> list[Pair]:
    """Pairs by columns: a sparse run and a dense one of equal steps, batch, budget and seed, and of matching count."""
    dense = list(runs.where(~runs.sparse).rows())
    found: dict[tuple[Any, ...], list[tuple[str, str]]] = defaultdict(list)
    for row in runs.rows():
        equal = [d for d in dense if all(d[k] == row[k] for k in ("total_steps", "batch_tokens", "budget", "seed"))]
        if row["sparsity"] == 0 or not equal:
            continue
        unprunable = row["N_total"] - row["N_prunable"]
        off = [
            (abs(d["N_prunable"] / row["N_avg"] - 1), abs(d["N_total"] / (row["N_avg"] + unprunable) - 1))
            for d in equal
        ]
        for i, match in enumerate(("prunable", "total")):
            closest = min(range(len(equal)), key=lambda j: off[j][i])
            nearer = off[closest][i] == min(off[closest])  # a partner of another making is taken for that count
            if off[closest][i] < MATCHED or (off[closest][i] < CLOSE and nearer):
                found[match, row["recipe"]].append((row["run_id"], equal[closest]["run_id"]))
    position = {run_id: i for i, run_id in enumerate(runs["run_id"])}

    def pick(ids: list[str]) -> Runs:
        return runs.where(np.array([position[i] for i in ids]))

    pairs = [Pair(pick([s for s, _ in ids]), pick([p for _, p in ids]), match) for (match, _), ids in found.items()]
    return sorted(pairs, key=lambda p: (p.match, p.sparse["dense_tokens"][0], p.sparsity))


def weigh(pair: Pair, spread: Spread | None, comparison: Comparison, *, tail: float, seed: int) -> PairResult:
    """The difference of a pair in nats and as a ratio of sizes.

    Args:
        pair: the runs.
        spread: of one seed's difference; None leaves intervals out.
        comparison: holds the dense law and its resamples.
        tail: probability outside the interval on each side.
        seed: of the generator.
    """
    difference = pair.measure(spread, tail)
    if comparison.dense_fit is None or pair.match == "total":
        return PairResult(pair, difference, None, None)
    value = float(_size_ratio(comparison.dense_fit.theta, pair, np.array(pair.difference)))
    if spread is None or comparison.dense_draws is None:
        return PairResult(pair, difference, Measure(value), None)
    unit = np.random.default_rng(seed).standard_t(spread.dof, size=PAIR_DRAWS)
    draws = pair.difference + unit * spread.sd / np.sqrt(pair.seeds)
    theta = comparison.dense_draws[np.arange(PAIR_DRAWS) % len(comparison.dense_draws)]
    ratios = _size_ratio(theta, pair, draws)
    return PairResult(pair, difference, Measure(value, *(percentiles(ratios, 1 - 2 * tail) or ())), ratios)


def _size_ratio(theta: Array, pair: Pair, difference: Array) -> Array:
    """N_eff / N_avg (...,) from the dense law's parameters (..., 5), cut at `FAR` where no dense size is as good."""
    scale, exponent = theta[..., 1], theta[..., 2]
    size_term = scale * pair.n_partner**-exponent
    left = np.maximum(1 + difference / size_term, np.finfo(float).tiny)
    log_ratio = np.log(pair.n_partner / pair.n_avg) - np.log(left) / exponent
    return np.exp(np.clip(log_ratio, -np.log(FAR), np.log(FAR)))
