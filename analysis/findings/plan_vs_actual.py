"""Planned and actual time of each run and of the whole sweep, from sweep.json and the runs table.

A plan for a known device gives seconds. Any other gives costs in arbitrary units, which are compared as shares of the total of
all runs. Every key may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.tables.data import Tables

WORST = 10  # rows of the table on the page; the figure's CSV has all
SAID = {
    "run": "run_id",
    "promised, s": "promised_seconds",
    "measured, s": "measured_seconds",
    "measured / promised": "ratio",
    "workers": "workers",
}


@dataclass(frozen=True)
class Promise:
    """A plan compared with its outcome.

    Attributes:
        rows: a run each, of those that were planned and trained: promised and measured seconds of its training, set-up aside,
            their ratio, and the workers that the plan gave it (None where it gave none) and that it had.
        in_seconds: whether seconds were promised, or shares of their sum.
    """

    rows: list[dict[str, Any]]
    in_seconds: bool

    @property
    def deviation(self) -> float:
        """Median over runs of |measured / promised − 1|."""
        return float(np.median([abs(row["ratio"] - 1) for row in self.rows]))

    def worst(self) -> list[dict[str, Any]]:
        """The runs farthest from their promise, by the logarithm of the ratio, for the page."""
        far = sorted(self.rows, key=lambda row: -abs(np.log(row["ratio"])))[:WORST]
        return [{said: row[name] for said, name in SAID.items()} for row in far]


def hold(tables: Tables) -> Promise | None:
    """Compares the plan in sweep.json with the runs table; None without a plan, or if nothing of it was trained."""
    planned = {run["run_id"]: run for run in tables.sweep.get("planned") or ()}
    rows = [row for row in tables.all_runs.rows() if row["run_id"] in planned and row["seconds"] > 0]
    if not rows:
        return None
    plans = [planned[row["run_id"]] for row in rows]
    measured = np.array([row["seconds"] for row in rows])
    in_seconds = all(plan.get("seconds") for plan in plans)
    if in_seconds:
        promised = np.array([plan["seconds"] for plan in plans], dtype=float)
    else:  # a cost is work, which workers share
        workers = np.array([row["workers"] for row in rows])
        cost = np.array([plan["cost"] for plan in plans], dtype=float)
        promised = cost / cost.sum() * (measured * workers).sum() / workers
    compared = [
        {
            **{name: row[name] for name in ("run_id", "size", "budget", "sparsity")},
            "promised_seconds": float(said),
            "measured_seconds": float(took),
            "ratio": float(took) / float(said),
            "promised_workers": plan.get("workers"),
            "workers": row["workers"],
        }
        for row, plan, said, took in zip(rows, plans, promised, measured, strict=True)
    ]
    return Promise(compared, in_seconds)


def summary(tables: Tables, promise: Promise) -> Iterator[tuple[str, str]]:
    """Terms and texts for the page."""
    if promise.in_seconds:
        yield "promised", "seconds of each run"
    else:
        yield "promised", "each run's share of the training time, by its planned cost; scaled to what all took"
    yield (
        "typical deviation",
        f"{promise.deviation:.0%}: median of |measured / promised − 1| over {len(promise.rows)} runs",
    )
    training = tables.sweep.get("training") or {}
    if not training.get("seconds"):
        return
    asked, planned = set(training.get("runs") or ()), {run["run_id"] for run in tables.sweep["planned"]}
    yield "makespan", "; ".join(_makespan(tables, training["seconds"], asked, planned))
    if training.get("lanes"):
        yield "lanes", _lanes(tables, training, asked)


def _makespan(tables: Tables, took: float, asked: set[str], planned: set[str]) -> Iterator[str]:
    if asked < planned:
        yield f"the last training took {span(took)} for {len(asked)} of {len(planned)} runs; the others were done before"
        return
    promised = tables.sweep.get("promised") or {}
    yield f"took {span(took)}"
    if promised.get("makespan_seconds"):
        ratio = took / promised["makespan_seconds"]
        yield f"promised {span(promised['makespan_seconds'])} (took {ratio:.2f} times as long)"
    if promised.get("lower_bound_seconds"):
        yield f"no order of these runs was promised to take less than {span(promised['lower_bound_seconds'])}"


def _lanes(tables: Tables, training: Mapping[str, Any], asked: set[str]) -> str:
    runs = tables.all_runs
    mine = runs.where(np.array([run_id in asked for run_id in runs["run_id"]], dtype=bool) & (runs["seconds"] > 0))
    if not len(mine):
        return f"{training['lanes']}, none of whose runs ended"
    # A lane holds the smallest run's workers; one of more workers holds several lanes.
    lanes, room = mine["workers"] / mine["workers"].min(), training["lanes"] * training["seconds"]
    work, setup = (float(np.nansum(mine[column] * lanes)) / room for column in ("seconds", "seconds_setup"))
    if work + setup > 1:
        return f"{training['lanes']}; their idle share isn't known, since runs had been trained in part before"
    return f"{training['lanes']}: {work:.1%} training, {setup:.1%} setting up and saving, {1 - work - setup:.1%} idle"


def span(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
