"""Conditions under which P2 can't be judged: curves pass below the parents' loss, the parents were still improving, or random
pruning does as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.findings.post_training import Recovery
from analysis.tables.curve_roles import RANDOM
from analysis.tables.post_training import CurvePoints

MOST_BELOW = 1 / 4  # share of the points under the parent's loss
MOST_MOVED = 1 / 3  # of the effect of pruning, by which an unpruned control moves
BETTER = 0.01  # nats, by which another learning rate has to end lower to count
SAME_RATE = 0.05  # relative, within which two realised rates are one

RULE = f"""
The verdict is inconclusive if over {MOST_BELOW:.0%} of the points lie under the parent's loss L0, which P2 can't describe; if an
unpruned control (rate 0) that is trained just as long ends farther from L0 than a third of what pruning costs by then, mean over sizes;
if the criterion of any method is no better than its random control, mean over their curves of equal size and pruning rate; or if, of the learning rates tried at a size, the lowest or
the highest ends over {BETTER} nats under the one that is used.
""".strip().replace("\n", " ")


def hindrance(post: Recovery) -> str | None:
    """Why P2 can't be judged; None if it can."""
    points = post.points
    judged = points.of("pruned")
    if not len(judged):
        return "no curve of a pruned model at a constant learning rate, with held-out losses on its way"
    if (share := below(judged)) > MOST_BELOW:
        return f"{share:.0%} of the points lie under the loss of the parent, which the law can't describe"
    moved = control(points)
    if moved is not None and moved > MOST_MOVED:
        return (
            f"an unpruned control moves by {moved:.0%} of what pruning costs, so that the parents were still improving"
        )
    worst = [
        f"{row['random control']} ({row['worse']:+.3f} nats)" for row in random_rows(points) if not row["worse"] > 0
    ]
    if worst:
        return f"the criterion is no better than its random control: {', '.join(worst)}"
    if edges := [row for row in tried_rates(points) if row["at the edge"]]:
        return f"the best learning rate tried is the last in its row: {', '.join(row['run'] for row in edges)}"
    return None


def below(judged: CurvePoints) -> float:
    """Share of the points under the loss of their parent."""
    return float(np.mean(judged["loss"] < judged["L0"]))


def control(points: CurvePoints) -> float | None:
    """Distance from L0 of the model from which nothing was removed, over the effect of pruning: mean over sizes; None without such a model."""
    shares = []
    controls, judged = points.of("control").last, points.of("pruned").last
    for size in np.unique(controls["N0"]):
        own, pruned = (rows.where(rows["N0"] == size) for rows in (controls, judged))
        if not len(pruned):
            continue
        moved = float(np.mean(own["loss"] - own["L0"]))
        effect = float(np.mean(np.abs(pruned["loss"] - pruned["L0"] - moved)))
        shares.append(abs(moved) / max(effect, np.finfo(float).tiny))
    return float(np.mean(shares)) if shares else None


def tried_rates(points: CurvePoints) -> Iterator[dict[str, Any]]:
    """Curves at other learning rates, each with the judged curve that is otherwise equal, and the difference of their final losses, nats."""
    usual, tried = points.of("pruned").last, points.of("tried").last
    for own in usual.rows():
        others = [
            row for row in tried.rows() if all(row[name] == own[name] for name in ("method", "N0", "rank", "seed"))
        ]
        rates = [row["lr"] for row in (own, *others)]
        for row in others:
            less = float(row["loss"] - own["loss"])
            last = row["lr"] in (min(rates), max(rates))
            yield {
                "run": row["run_id"], "times the learning rate": float(row["lr"] / own["lr"]), "less the usual one": less,
                "at the edge": bool(last and less < -BETTER),
            }  # fmt: skip


def random_rows(points: CurvePoints) -> Iterator[dict[str, Any]]:
    """How much worse each random control is than its criterion, over the curves of equal size and realised pruning rate."""
    judged, random = _cells(points.of("pruned")), _cells(points.of("random"))
    for name in dict.fromkeys(cell.method for cell in random):
        kind = name.removeprefix(f"{RANDOM}-")
        for method in (other for other in points.methods if other.startswith(kind)):
            worse = [
                own.over - other.over
                for own in random
                for other in judged
                if (own.method, other.method) == (name, method)
                and own.size == other.size
                and abs(own.rho / other.rho - 1) <= SAME_RATE
            ]
            if worse:
                yield {"method": method, "random control": name, "cells": len(worse), "worse": float(np.mean(worse))}


@dataclass(frozen=True)
class _Cell:
    """The curves of one method, size and rate. `over`: mean of L - L0 over curves and points, nats."""

    method: str
    size: float
    rho: float
    over: float


def _cells(points: CurvePoints) -> list[_Cell]:
    keys = list(zip(points["method"], points["N0"], points["rank"], strict=True))
    found = []
    for key in dict.fromkeys(keys):
        cell = points.where(np.array([own == key for own in keys]))
        found.append(_Cell(key[0], key[1], float(cell["rho"].mean()), float(np.mean(cell["loss"] - cell["L0"]))))
    return found
