"""What claims and figures both read, computed once from the tables."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.compare import RESAMPLES, Comparison, compare
from analysis.data import Tables
from analysis.noise import CONFIDENCE, Noise, measure
from analysis.pairs import PairResult, find_pairs, pair_noise, weigh
from analysis.theory import Theory, explain


@dataclass(frozen=True)
class Evidence:
    """The tables, the seeds' noise, the laws held against the runs, pairs with simultaneous 95% intervals, the theory."""

    tables: Tables
    noise: Noise
    comparison: Comparison
    pairs: tuple[PairResult, ...]
    theory: Theory


def gather(tables: Tables, *, resamples: int = RESAMPLES, seed: int = 0) -> Evidence:
    """Everything that is computed from the tables. `resamples` and `seed` are the bootstrap's."""
    # Other learning rates and other kinds of pruning may well be noisier; the claims are about the base recipe.
    noise = measure(tables.selected(lambda r: r.serves("schedules", "law", "pairs", "iso_average", "dense", "seeds")))
    comparison = compare(tables, noise.overall, resamples=resamples, seed=seed)
    pairs = find_pairs(tables)
    spread = pair_noise(pairs, noise)
    tail = (1 - CONFIDENCE) / 2 / max(1, sum(p.match == "prunable" for p in pairs))
    results = (weigh(p, spread, comparison, tail=tail, seed=seed + i) for i, p in enumerate(pairs, 1))
    return Evidence(tables, noise, comparison, tuple(results), explain(tables))
