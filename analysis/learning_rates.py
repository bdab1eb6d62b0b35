"""The best learning rate of each size and budget, from the tables of a learning-rate sweep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

STUDY = "lr"


@dataclass(frozen=True)
class Best:
    """Where the loss of one size and budget is least.

    Attributes:
        size, budget: labels.
        lr: the vertex of the parabola through the three points around the least loss, in log lr; or the least
            one tried, when it lies at an edge.
        loss: the least held-out loss measured, nats/token.
        tried: how many rates.
        at_edge: whether the least loss lies at the smallest or largest rate tried: then the best is not known.
    """

    size: str
    budget: str
    lr: float
    loss: float
    tried: int
    at_edge: bool


def best(runs: pa.Table) -> list[Best]:
    """One entry for each size and budget of the study, in the table's order."""
    chosen = runs.filter(pa.array([STUDY in studies for studies in runs["studies"].to_pylist()], pa.bool_()))
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in chosen.select(["size", "budget", "lr", "loss"]).to_pylist():
        found.setdefault((row["size"], row["budget"]), []).append((row["lr"], row["loss"]))
    return [_least(size, budget, sorted(points)) for (size, budget), points in found.items()]


def _least(size: str, budget: str, points: list[tuple[float, float]]) -> Best:
    losses = [loss for _, loss in points]
    at = int(np.argmin(losses))
    edge = at in (0, len(points) - 1)
    lr = points[at][0]
    if not edge:
        around = points[at - 1 : at + 2]
        a, b, _ = np.polyfit([math.log(x) for x, _ in around], [y for _, y in around], 2)
        lr = math.exp(-b / (2 * a))
    return Best(size, budget, float(f"{lr:.2g}"), losses[at], len(points), edge)
