"""Held-out losses of dense runs, to which the law in N_avg is fitted before it predicts pruned models that are trained further."""

from __future__ import annotations

import numpy as np

from analysis.tables.curve_roles import at_peak, constant
from analysis.tables.data import Tables
from analysis.tables.post_training import held_out, numbers_and_texts
from analysis.tables.rows import Rows
from repro import studies

EARLY = 0.1  # share of a dense run before which its losses are those of its beginning
ALIKE = 2.0  # times one learning rate another may be, over the parents' peak, for losses to be comparable


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
