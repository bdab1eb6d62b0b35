"""Figure 1: sparse runs beside dense runs of the same average count and tokens."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.compute import smooth
from analysis.figures.panel import NATS, Curve, Meaning, Panel, Points
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import cells
from analysis.findings.pairs import Pair, PairResult
from analysis.tables.data import Runs, Tables
from repro import studies

MOST = 240  # points of a drawn curve
NAME = "fig1_pairs"
NOTHING = "the sweep holds no sparse run with a dense partner"
TITLE = "Sparse runs and dense runs of the same average count"
CAPTION = (
    "Held-out loss at the end (left; bars are 95% intervals of the seeds' noise, simultaneous over pairs, laid on the sparse run) "
    "and training loss on the way (right; the largest budget, first seed, running mean). A sparse run and its dense partner (hollow, "
    "dashed) have the same N_avg, tokens, batch and data order. The dense run of full size spends the same effective compute on fewer "
    "tokens."
)
MEANS = {
    "seeds": Meaning("", "seeds at which both runs of the pair were trained, over which losses are means"),
    "N_avg": Meaning("parameters", "N_avg of the sparse run"),
    "N_partner": Meaning("parameters", "prunable weights of the dense partner"),
    "loss_sparse": Meaning(NATS, "held-out loss of the sparse run, mean over seeds"),
    "loss_partner": Meaning(NATS, "held-out loss of the dense partner, mean over seeds"),
    "difference": Meaning(NATS, "loss_sparse less loss_partner at equal seeds"),
    "difference_low": Meaning(NATS, "lower end of its 95% interval, simultaneous over pairs"),
    "difference_high": Meaning(NATS, "upper end of it"),
    "N_full": Meaning("parameters", "prunable weights of the dense run of the sparse run's own shape and compute"),
    "loss_full_dense": Meaning(NATS, "held-out loss of that run, mean over seeds"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a pair."""
    found = []
    for result in _drawn(evidence):
        pair, full = result.pair, _full_dense(evidence.tables, result.pair)
        found.append(
            {
                **{name: pair.sparse[name][0] for name in ("size", "budget", "sparsity")},
                "seeds": pair.seeds,
                "N_avg": pair.n_avg,
                "N_partner": pair.n_partner,
                "D": pair.sparse["D"][0],
                "loss_sparse": pair.sparse["loss"].mean(),
                "loss_partner": pair.partner["loss"].mean(),
                **cells(result.difference, "difference", "difference_low", "difference_high"),
                "N_full": full["N_prunable"].mean() if len(full) else None,
                "loss_full_dense": full["loss"].mean() if len(full) else None,
            }
        )
    return found


def panels(evidence: Evidence) -> list[Panel]:
    """At the end, and on the way."""
    drawn = _drawn(evidence)
    return [_ends(drawn, evidence.tables), _ways(drawn, evidence.tables)] if drawn else []


def _drawn(evidence: Evidence) -> list[PairResult]:
    return [r for r in evidence.pairs if r.pair.match == "prunable"]


def _full_dense(tables: Tables, pair: Pair) -> Runs:
    """Dense runs of the sparse run's own shape and compute."""
    one = next(pair.sparse.rows())
    equal = ("size", "budget", "N_prunable", "dense_tokens", "batch_tokens")
    return tables.selected(
        lambda r: (
            ~r.sparse
            & r.serves(studies.LAW, studies.PAIRS, studies.SEEDS)
            & np.logical_and.reduce([r[k] == one[k] for k in equal])
        )
    )


def _ends(drawn: list[PairResult], tables: Tables) -> Panel:
    points, guides = [], []
    full: dict[str, tuple[float, float]] = {}
    for result in sorted(drawn, key=lambda r: r.pair.sparsity):
        pair, difference = result.pair, result.difference
        sparse, partner = float(pair.sparse["loss"].mean()), float(pair.partner["loss"].mean())
        ends = {}
        if difference.low is not None and difference.high is not None:
            ends = {"low": np.array([partner + difference.low]), "high": np.array([partner + difference.high])}
        guides.append((np.array([pair.n_avg, pair.n_partner]), np.array([sparse, partner])))
        points += [
            _point(style.of_run(pair.sparsity), pair.n_avg, sparse, pair.sparse, **ends),
            _point(style.of_run(pair.sparsity, "partner"), pair.n_partner, partner, pair.partner),
        ]
        if len(dense := _full_dense(tables, pair)):
            full[dense["run_id"][0]] = float(dense["N_prunable"][0]), float(dense["loss"].mean())
    if full:
        x, y = (np.array(values) for values in zip(*full.values(), strict=True))
        points.insert(0, Points(style.of_run(0.0), x, y, list(full)))
    return Panel(
        "at the end", "average parameters, N_avg", "held-out loss, nats/token", tuple(points), guides=tuple(guides),
        counts=True,
    )  # fmt: skip


def _point(look: style.Look, x: float, y: float, runs: Runs, **ends: Any) -> Points:
    name = runs["run_id"][0] + (f" and {len(runs) - 1} more seeds" if len(runs) > 1 else "")
    return Points(look, np.array([x]), np.array([y]), [name], **ends)


def _ways(drawn: list[PairResult], tables: Tables) -> Panel:
    curves = []
    lowest, highest = np.inf, -np.inf
    longest = max(result.pair.sparse["dense_tokens"][0] for result in drawn)
    for pair in (result.pair for result in drawn if result.pair.sparse["dense_tokens"][0] == longest):
        roles: tuple[tuple[Runs, style.Role], ...] = ((pair.sparse, "run"), (pair.partner, "partner"))
        for runs, role in roles:
            look, run_id = style.of_run(pair.sparsity, role), runs["run_id"][0]
            tokens, loss = smooth(*tables.curve(run_id, "tokens", "loss_train"))
            if len(loss):
                shown = np.unique(np.linspace(0, len(loss) - 1, min(MOST, len(loss))).astype(int))
                tokens, loss = tokens[shown], loss[shown]
                curves.append(Curve(look, tokens, loss, run_id))
                lowest, highest = min(lowest, loss.min()), max(highest, loss[tokens >= 0.15 * tokens.max()].max())
    limits = (lowest - 0.05 * (highest - lowest), highest) if curves else None
    return Panel("on the way", "tokens", "training loss, nats/token", curves=tuple(curves), counts=True, limits=limits)
