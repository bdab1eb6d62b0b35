"""The cells of the schedule grid, and what a schedule is called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.tables.data import Runs
from repro.schedule import FALLING


def grid_cells(grid: Runs) -> tuple[list[Runs], list[str]]:
    """The runs of every cell that holds 25/50/25 and a rival, and why the others were left out."""
    members = defaultdict(list)
    for i, row in enumerate(grid.rows()):
        members[row["dense_tokens"], row["size"], row["budget"], float(row["sparsity"])].append(i)
    chosen, skipped = [], []
    for (_, size, budget, sparsity), rows in sorted(members.items(), key=lambda item: item[0]):
        cell = grid.where(np.array(rows))
        if not cell.at_paper_schedule.any() or len(cell) < 2:
            skipped.append(f"{size} {budget} at {sparsity:.0%}: no 25/50/25 with a rival among its {len(cell)} runs.")
        else:
            chosen.append(cell)
    return chosen, skipped


def name_of(run: Mapping[str, Any]) -> str:
    """What the schedule of a run is called: by its shares of compute where it falls between events, else by its shape."""
    if run["sparsity"] == 0:
        return "dense"
    name = schedule_name(run["start"], run["end"]) if run["shape"] in FALLING else str(run["shape"]).replace("_", " ")
    return f"{name}, mirrored" if run["mirror"] is True else name


def schedule_name(start: float, end: float) -> str:
    """dense / pruning / recovery shares of compute, in percent."""
    return f"{start:.0%}/{end - start:.0%}/{1 - end:.0%}".replace("%", "")
