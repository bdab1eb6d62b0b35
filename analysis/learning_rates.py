"""The best learning rate of each size and budget, from the tables of a learning-rate sweep."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from repro.errors import UserError
from repro.studies import LEARNING_RATES


@dataclass(frozen=True)
class Best:
    """Where the loss of one size and budget is least.

    Attributes:
        size, budget: labels.
        lr: the vertex of the parabola through the three points around the least loss, in log lr; or the least
            one tried, when it lies at an edge.
        loss: the least held-out loss measured, nats/token, a mean where a rate was tried with several seeds.
        tried: how many rates.
        unusable: how many runs have no finite loss, and count for nothing.
        at_edge: whether the least loss lies at the smallest or largest rate tried: then the best is not known.
    """

    size: str
    budget: str
    lr: float
    loss: float
    tried: int
    at_edge: bool
    unusable: int = 0


def best(runs: pa.Table) -> list[Best]:
    """One entry for each size and budget of the study, in the table's order.

    Raises:
        UserError: no run of such a study, or none of a size and budget with a finite loss.
    """
    chosen = runs.filter(
        pa.array([LEARNING_RATES in (studies or ()) for studies in runs["studies"].to_pylist()], pa.bool_())
    )
    if not len(chosen):
        studies = sorted({study for own in runs["studies"].to_pylist() for study in own or ()})
        raise UserError(
            "no learning-rate study in this sweep", key="studies",
            found=", ".join(studies) or "no runs", expected=f"runs of a study `{LEARNING_RATES}`, as sweeps/lr.yaml has them",
        )  # fmt: skip
    found: dict[tuple[str, str], dict[float, list[float]]] = {}
    unusable: Counter[tuple[str, str]] = Counter()
    for row in chosen.select(["size", "budget", "lr", "loss"]).to_pylist():
        key, lr, loss = (row["size"], row["budget"]), row["lr"], row["loss"]
        rates = found.setdefault(key, {})
        if all(value is not None and math.isfinite(value) and value > 0 for value in (lr, loss)):
            rates.setdefault(lr, []).append(loss)
        else:
            unusable[key] += 1
    for (size, budget), rates in found.items():
        if not rates:
            raise UserError(
                "no run with a finite loss", key=f"{size} {budget}", found=f"{unusable[size, budget]} without one",
                expected="at least one learning rate that doesn't diverge",
            )  # fmt: skip
    return [
        _least(
            size, budget, sorted((lr, float(np.mean(losses))) for lr, losses in rates.items()), unusable[size, budget]
        )
        for (size, budget), rates in found.items()
    ]


def _least(size: str, budget: str, points: list[tuple[float, float]], unusable: int) -> Best:
    losses = [loss for _, loss in points]
    at = int(np.argmin(losses))
    edge = at in (0, len(points) - 1)
    lr = points[at][0]
    if not edge:
        around = points[at - 1 : at + 2]
        a, b, _ = np.polyfit([math.log(x) for x, _ in around], [y for _, y in around], 2)
        if a > 0:  # equal losses have no vertex
            lr = math.exp(-b / (2 * a))
    return Best(size, budget, float(f"{lr:.2g}"), losses[at], len(points), edge, unusable)
