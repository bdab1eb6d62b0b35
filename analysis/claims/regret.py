"""The regret of 25/50/25 in each cell of the grid of schedules, with its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from analysis.claims.verdict import Outcome
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.fits.outcome import Interval, above, below, interval
from analysis.laws.law import Array
from analysis.noise.spread import regret_bounds
from analysis.tables.data import Runs
from analysis.tables.schedules import grid_cells, schedule_name

MARGIN = 0.01  # nats
TOP = 3
ERROR_RATE = 0.05  # of each one-sided bound, over all cells together


@dataclass(frozen=True)
class CellVerdict:
    """One cell of the grid, judged.

    Attributes:
        regret: nats, at least 0.
        reach: worst less best loss of the cell at seed 0, nats.
        fresh: rivals among the top that have fresh seeds. rivals: how many there are.
    """

    size: str
    budget: str
    sparsity: float
    schedules: int
    best: str
    regret: Measure
    reach: float
    fresh: int
    rivals: int
    source: Literal["fresh seeds", "seed 0"]

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.regret.interval)

    def row(self) -> dict[str, Any]:
        return {
            "size": self.size,
            "budget": self.budget,
            "sparsity": self.sparsity,
            "schedules": self.schedules,
            "best at seed 0": self.best,
            **cells(self.regret, "regret"),
            "share of range": self.regret.value / self.reach if self.reach > 0 else None,
            "range": self.reach,
            "measured on": self.source,
            "rivals with fresh seeds": f"{self.fresh} of {self.rivals}",
            "verdict": self.outcome,
        }


def outcome_of(own: Interval | None) -> Outcome:
    """What the bounds of one regret say by themselves."""
    return "reproduced" if below(own, MARGIN) else "not reproduced" if above(own, MARGIN) else "inconclusive"


def largest_bounds(regrets: Sequence[Measure]) -> Interval | None:
    """The bounds of the largest of some regrets."""
    lows, highs = [r.low for r in regrets if r.low is not None], [r.high for r in regrets if r.high is not None]
    return interval(max(lows), max(highs)) if lows and highs else None


def judge_cells(evidence: Evidence) -> tuple[list[CellVerdict], list[str]]:
    """Every cell that has 25/50/25 and a rival, judged; and why the others were left out."""
    chosen, skipped = grid_cells(evidence.tables.grid)
    return [_judge_cell(cell, evidence, len(chosen)) for cell in chosen], skipped


def _judge_cell(cell: Runs, evidence: Evidence, cells: int) -> CellVerdict:
    spread, level = evidence.noise.paired, ERROR_RATE / cells
    home = int(np.flatnonzero(cell.at_paper_schedule)[0])
    order = [int(i) for i in np.argsort(cell["loss"])]
    others = [i for i in order if i != home]
    top = [i for i in order[:TOP] if i != home]
    by_seed = evidence.tables.runs.losses_by_seed
    recipes = cell["recipe"]
    fresh = {i: d for i in top if len(d := _fresh_differences(by_seed[recipes[home]], by_seed[recipes[i]]))}
    at_zero = cell["loss"][home] - cell["loss"]
    if fresh:
        means, counts = np.array([d.mean() for d in fresh.values()]), np.array([len(d) for d in fresh.values()])
        stale = [at_zero[i] for i in top if i not in fresh]
        upper, upper_counts = np.append(means, stale), np.append(counts, np.ones(len(stale)))
    else:
        upper = means = at_zero[others]
        upper_counts = counts = np.ones(len(others))
    bounds = regret_bounds(means, counts, upper, upper_counts, spread, level)
    best = cell.where(np.array([order[0]]))
    return CellVerdict(
        size=str(cell["size"][0]),
        budget=str(cell["budget"][0]),
        sparsity=float(cell["sparsity"][0]),
        schedules=len(cell),
        best=schedule_name(float(best["start"][0]), float(best["end"][0])),
        regret=Measure(max(0.0, float(means.max())), *bounds),
        reach=float(np.ptp(cell["loss"])),
        fresh=len(fresh),
        rivals=len(top),
        source="fresh seeds" if fresh else "seed 0",
    )


def _fresh_differences(home: dict[int, float], rival: dict[int, float]) -> Array:
    """Loss of 25/50/25 less that of a rival at every seed over 0 that both have."""
    return np.array([home[seed] - rival[seed] for seed in sorted(home.keys() & rival.keys()) if seed > 0])
