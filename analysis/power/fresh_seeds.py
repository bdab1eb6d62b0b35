"""Assigns a sweep's fresh seeds in a simulated sweep: to the best schedules of each cell at seed 0, as in the real sweep.

Claim (a) trains the best of a cell again with fresh seeds. In another world other schedules are the best at seed 0, so
that the windows which this sweep happened to repeat are not the ones that it would have repeated there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.claims.regret import TOP
from analysis.laws.law import Array
from analysis.tables.data import Tables
from analysis.tables.schedule_grid import grid_cells
from analysis.worlds.world import with_losses


def follow(tables: Tables, mean: Array, noise: Array, rng: np.random.Generator) -> Tables:
    """The tables of a world with each cell's fresh seeds reassigned to its best rivals, if only some rivals have any.

    Args:
        tables: of this sweep. mean: (n,) of each run in that world. noise: (n,) as drawn, nats.
        rng: draws the noise of runs that this sweep hasn't got, from that of the cell's runs.
    """
    moved = with_losses(tables, mean + noise)
    runs = moved.runs
    dropped: set[int] = set()
    added: list[tuple[int, float, float]] = []  # position of the run at seed 0, seed, loss
    for cell in grid_cells(moved.grid)[0]:
        order = cell["recipe"][np.argsort(cell["loss"])]
        home = cell["recipe"][cell.at_paper_schedule][0]
        own = np.flatnonzero(np.isin(runs["recipe"].astype(str), order.astype(str)))
        fresh = [int(i) for i in own if runs["seed"][i] > 0 and runs["recipe"][i] != home]
        if not fresh or len({runs["recipe"][i] for i in fresh}) == len(order) - 1:
            continue
        left = {seed: [float(noise[i]) for i in fresh if runs["seed"][i] == seed] for seed in runs["seed"][fresh]}
        at = {runs["recipe"][i]: int(i) for i in own if runs["seed"][i] == 0}
        dropped |= set(fresh)
        for recipe in order[:TOP]:
            for seed, drawn in left.items() if recipe != home else ():
                luck = drawn.pop() if drawn else float(rng.choice(noise[own]))
                added.append((at[recipe], float(seed), float(mean[at[recipe]]) + luck))
    if not dropped:
        return moved
    kept = np.array([i for i in range(len(runs)) if i not in dropped], dtype=int)
    found = runs.where(np.concatenate([kept, np.array([i for i, _, _ in added], dtype=int)]))
    seeds, losses = found["seed"].copy(), found["loss"].copy()
    seeds[len(kept) :] = [seed for _, seed, _ in added]
    losses[len(kept) :] = [loss for _, _, loss in added]
    return replace(moved, runs=replace(found, columns={**found.columns, "seed": seeds, "loss": losses}))
