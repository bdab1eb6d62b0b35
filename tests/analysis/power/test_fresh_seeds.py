"""In a world the fresh seeds go to the best schedules of each cell, of which luck decides at seed 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from analysis.claims import schedule
from analysis.power.simulation import follow
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth

pytestmark = pytest.mark.slow

Make = Callable[..., Tables]
CELLS = 8


def test_the_best_at_seed_0_get_them_with_losses_around_their_own_means(swept: Make) -> None:
    """Two rivals of each cell were repeated; in another world others are the best, and 25/50/25 keeps its own."""
    rows = simulated_sweep.simulate(Truth(sigma=0.0), fresh_grid_seeds=1)
    repeated = ((0.25, 0.75), (0.0, 0.25), (0.0, 0.5))
    tables = swept([
        r for r in rows if r["seed"] == 0 or r["studies"] != ["seeds"] or (r["start"], r["end"]) in repeated
    ])  # fmt: skip
    runs = tables.runs
    wanted = [(0.5, 0.75), (0.75, 1.0)]
    mean = np.array([
        2.0 + 0.1 * wanted.index((r["start"], r["end"])) if (r["start"], r["end"]) in wanted else 3.0 for r in runs.rows()
    ])  # fmt: skip
    found = follow(tables, mean, np.full(len(mean), 0.001), np.random.default_rng(0))
    grid = found.selected(lambda r: r.sparse & (r["size"] == "25k") & (r["seed"] == 1) & ~r.serves("pairs"))
    rivals = Counter((r["start"], r["end"]) for r in grid.rows() if (r["start"], r["end"]) != (0.25, 0.75))
    assert rivals[0.5, 0.75] == rivals[0.75, 1.0] == CELLS
    at_zero = {r["recipe"]: r["loss"] for r in found.runs.rows() if r["seed"] == 0}
    for run in grid.rows():
        if (run["start"], run["end"]) in wanted:
            assert run["loss"] == pytest.approx(at_zero[run["recipe"]])
    assert len({(r["recipe"], r["seed"]) for r in found.runs.rows()}) == len(found.runs)


@pytest.mark.parametrize("fresh", [0, 1])
def test_nothing_moves_where_no_rival_or_every_rival_was_repeated(fresh: int, swept: Make) -> None:
    tables = swept(fresh_grid_seeds=fresh)
    found = follow(tables, tables.runs["loss"], np.zeros(len(tables.runs)), np.random.default_rng(0))
    assert list(found.runs["run_id"]) == list(tables.runs["run_id"])
    assert len(schedule.repeated(tables)) == CELLS * 4 if not fresh else True
