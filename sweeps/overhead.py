"""What the orchestration adds to a run, from the files that a finished sweep left."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from repro import tables
from repro.storage import Folder


@dataclass(frozen=True)
class Overhead:
    """All in seconds.

    Attributes:
        runs: how many runs were looked at.
        per_run: (wall of the training phase * lanes - seconds inside the loops) / runs.
        between: median time from the end of one run in a process to the first step of the next.
        first: median time from the start of the training phase to the first step in each process.
    """

    runs: int
    per_run: float
    between: float
    first: float


def measure(results: Folder) -> Overhead:
    """Reads sweep.json, the runs' tables and their status. Only for a sweep trained in one go."""
    record = results.read_json("sweep.json")["training"]
    by_process: dict[Any, list[tuple[float, float]]] = {}
    inside = 0.0
    for run_id in record["runs"]:
        [row] = tables.read(results / "runs" / run_id, "run.parquet").to_pylist()
        status = (results / "runs" / run_id).read_json("status.json")
        inside += row["seconds"]
        by_process.setdefault(tuple(status["owner"].values()), []).append((status["began"] + row["seconds_setup"], status["updated"]))
    between, first = [], []
    for spans in by_process.values():
        spans.sort()
        first.append(spans[0][0] - record["began"])
        between += [start - end for (_, end), (start, _) in zip(spans, spans[1:], strict=False)]
    count = len(record["runs"])
    return Overhead(count, (record["seconds"] * record["lanes"] - inside) / count, statistics.median(between or [0.0]), statistics.median(first))
