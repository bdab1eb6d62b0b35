"""The schedule N(t) of a row of the runs table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from repro.schedule import Pieces, PruningSchedule


def schedule_of(run: Mapping[str, Any]) -> PruningSchedule:
    """The schedule that a run was trained with, but for a mask that moves at a constant number of weights."""
    total, sparsity = int(run["total_steps"]), float(run["sparsity"])
    if run["shape"] == "dense":
        return PruningSchedule.dense(total)
    interval = int(run["interval"])
    if run["pieces"] is None:
        return PruningSchedule.in_steps(
            sparsity, int(run["start_step"]), int(run["end_step"]), total, interval, run["shape"]
        )
    firsts, densities = zip(*json.loads(run["pieces"]), strict=True)
    return PruningSchedule(Pieces(firsts, densities, total), sparsity, run["shape"], interval, run["mirror"] is True)
