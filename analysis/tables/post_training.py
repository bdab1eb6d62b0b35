"""Curves of training after pruning as rows, one held-out loss each, with the columns that its laws use.

A curve is one run that started from a pruned model; its points are its held-out losses at D > 0 tokens after the surgery,
once its learning rate has warmed up: until then that rate decides how far it has come, and not D. The row at D = 0, the loss of the pruned model, is `L_parent`: it is published and no law is fitted to it.

And held-out losses of dense runs, to which the law in N_avg is fitted before it predicts pruned models that are trained further.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow.compute as pc

from analysis.laws.law import Array
from analysis.tables.curve_roles import Role, at_peak, constant, method_of, roles_of, warm_up
from analysis.tables.data import Tables
from analysis.tables.rows import Rows
from repro import studies

FILE = "post_training.csv"
EARLY = 0.1  # share of a dense run before which its losses are those of its beginning
ALIKE = 2.0  # times one learning rate another may be, over the parents' peak, for losses to be comparable


@dataclass(frozen=True)
class CurvePoints(Rows):
    """One row a point.

    Columns: run_id, recipe, size, seed, lr; method (with N:M where that is its structure), role, rate (as asked) and rank
    (its place among the realised rates of its size and method, from 0; -1 of a control); L0 and L_parent, the parent's
    losses before and after the surgery; rho, N0, N1, D, loss as in the laws of training after pruning; N_avg and D_life over
    the whole life; D0, the parent's tokens.
    """

    @property
    def methods(self) -> tuple[str, ...]:
        """Those of the curves that are judged."""
        return tuple(sorted(set(self["method"][self["role"] == "pruned"])))

    def of(self, role: Role, method: str | None = None) -> Self:
        """The points of the curves of one role, and of one method where it is given."""
        chosen = self["role"] == role
        return self.where(chosen if method is None else chosen & (self["method"] == method))

    def changed(self, **columns: Array) -> Self:
        """The same points with other values, (n,) each."""
        return replace(self, columns={**self.columns, **columns})

    @property
    def curves(self) -> dict[str, np.ndarray]:
        """Positions of the points of each curve, by D."""
        found: dict[str, list[int]] = {}
        for i, run_id in enumerate(self["run_id"]):
            found.setdefault(run_id, []).append(i)
        return {run_id: np.array(own)[np.argsort(self["D"][own], kind="stable")] for run_id, own in found.items()}

    @property
    def last(self) -> Self:
        """The last point of each curve."""
        return self.where(np.array([own[-1] for own in self.curves.values()], dtype=int))


def curve_points(tables: Tables) -> CurvePoints:
    """All points of the study's pruned models and of its controls; runs without held-out losses on the way have none."""
    runs = tables.selected(lambda r: r.serves(studies.POST_TRAINING))
    runs = runs.where(np.array([name is not None for name in runs["surgery"]], dtype=bool))
    points = held_out(tables)
    rows: list[dict[str, Any]] = []
    for run, role, rank in zip(runs.rows(), *roles_of(runs), strict=True):
        warm = warm_up(run)
        before = run["N_avg_life"] * run["D_life"] - run["N_avg"] * run["D"]
        age = run["D_life"] - run["D"]
        known = {name: run[name] for name in ("run_id", "recipe", "size", "seed", "lr", "L_parent", "rho")} | {
            "method": method_of(run), "role": role, "rate": run["surgery_rate"], "rank": float(rank), "D0": age,
            "L0": run["L_before"], "N0": run["N_total_before"], "N1": run["N_total_before"] * (1 - run["rho"]),
        }  # fmt: skip
        rows += [
            known
            | {
                "D": tokens,
                "loss": loss,
                "N_avg": (before + run["N_avg"] * tokens) / (age + tokens),
                "D_life": age + tokens,
            }
            for tokens, loss in points.get(run["run_id"], ())
            if tokens > warm
        ]
    return CurvePoints(numbers_and_texts(rows, CURVE_COLUMNS))


def published(points: CurvePoints) -> Iterator[dict[str, Any]]:
    """Every point as a row of FILE, a curve's row at D = 0 before its others: a table that `analysis fit` reads."""
    rows = list(points.rows())
    for own in points.curves.values():
        first = rows[own[0]]
        yield first | {"D": 0.0, "loss": first["L_parent"], "D_life": first["D0"], "N_avg": None}
        yield from (rows[i] for i in own)


CURVE_COLUMNS = (
    "run_id", "recipe", "size", "seed", "lr", "method", "role", "rate", "rank", "L0", "L_parent", "rho", "N0", "N1", "D0",
    "D", "loss", "N_avg", "D_life",
)  # fmt: skip
_TEXTS = ("run_id", "recipe", "size", "method", "role")


def numbers_and_texts(rows: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Columns (n,) of some rows: texts as objects, the others as floats."""
    return {name: np.array([row[name] for row in rows], dtype=object if name in _TEXTS else float) for name in names}


def held_out(tables: Tables) -> dict[str, list[tuple[float, float]]]:
    """Tokens and held-out loss, in order, by run."""
    kept = tables.curves.filter(pc.is_valid(tables.curves["loss_eval"])).sort_by("step")
    found: dict[str, dict[float, float]] = {}
    columns = (kept.column(name).to_pylist() for name in ("run_id", "tokens", "loss_eval"))
    for run_id, tokens, loss in zip(*columns, strict=True):
        found.setdefault(run_id, {})[float(tokens)] = float(loss)
    return {run_id: list(own.items()) for run_id, own in found.items()}


def dense_points(tables: Tables) -> Rows:
    """Held-out losses of dense runs at a learning rate like that of training after pruning, over the parents' peak.

    Those of models that lost nothing and train on, of parents and of models trained from scratch: at their end, and where
    the learning rate stays at its peak, from EARLY of their tokens on. Columns: run_id, N_avg, D (over the whole life), loss.
    """
    runs = tables.selected(lambda r: r.serves(studies.PARENTS, studies.POST_TRAINING) & ~r.sparse)
    wanted, points, rows = _rate_after(tables), held_out(tables), []
    for run in runs.rows():
        control = run["surgery"] is not None
        if control and (run["rho"] > 0 or not constant(run)):
            continue
        before, own = run["D_life"] - run["D"], points.get(run["run_id"], [])
        first, last = at_peak(run)
        found = {
            tokens: loss
            for tokens, loss in own
            if first < tokens <= last and (control or (_alike(1.0, wanted) and tokens >= EARLY * run["D"]))
        }
        if not control and _alike(run["final_lr"] if not constant(run) else 1.0, wanted):
            found[run["D"]] = run["loss"]
        rows += [
            {"run_id": run["run_id"], "N_avg": run["N_avg_life"], "D": before + tokens, "loss": loss}
            for tokens, loss in found.items()
        ]
    return Rows(numbers_and_texts(rows, ("run_id", "N_avg", "D", "loss")))


def _rate_after(tables: Tables) -> float | None:
    """The learning rate of training after pruning over the parent's peak, median; None where no parent is in the table."""
    runs = tables.runs
    peak = dict(zip(runs["run_id"], runs["lr"], strict=True))
    children = tables.selected(lambda r: r.serves(studies.POST_TRAINING))
    over = [
        run["lr"] / peak[run["parent"]]
        for run in children.rows()
        if run["surgery"] is not None and run["parent"] in peak
    ]
    return float(np.median(over)) if over else None


def _alike(rate: float, wanted: float | None) -> bool:
    return wanted is None or max(rate / wanted, wanted / rate) <= ALIKE
