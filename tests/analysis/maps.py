"""Maps drawn from a known truth: the runs of a `regime` study."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from analysis.worlds.simulated_programme import SIZES, run_of
from analysis.worlds.simulated_sweep import Truth, drawn_row
from repro import ladder, studies


def simulate_map(
    truth: Truth,
    cells: Mapping[str, Iterable[float]],
    *,
    sparsities: tuple[float, ...] = (0.4, 0.8),
    seeds: int = 3,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rows of a `regime` study alone: dense runs, and sparse runs with their dense partners.

    Args:
        cells: tokens per parameter by size, of SIZES.
        seeds: of each run. seed: of the noise.
    """
    rng, rows = np.random.default_rng(seed), {}
    for size, ratios in cells.items():
        for ratio, own in itertools.product(ratios, range(seeds)):
            budget = f"{ratio:g}t"
            dense = run_of(size, budget, seed=own, tokens_per_param=ratio)
            rows[dense.fingerprint] = drawn_row(dense, [studies.REGIME], truth, rng)
            for sparsity in sparsities:
                sparse = run_of(size, budget, sparsity, seed=own, tokens_per_param=ratio)
                average = sparse.schedule.n_avg(SIZES[size].prunable)
                shape = ladder.partner(SIZES[size], average, count="prunable", mlp_multiple=1, tolerance=0.02)
                label, steps = f"{size}-p{100 * sparsity:.0f}", sparse.schedule.total_steps
                for spec in (sparse, run_of(label, budget, seed=own, shape=shape, dense_steps=steps)):
                    rows[spec.fingerprint] = drawn_row(spec, [studies.REGIME], truth, rng)
    return list(rows.values())
