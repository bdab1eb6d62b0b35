"""One law for every N(t): fitted to dense runs alone, and tested on runs whose N(t) falls, rises, grows or is pruned once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.findings.arrow import Arrow
from analysis.findings.law_errors import Measure
from analysis.laws.law import Array, Columns
from analysis.noise.spread import CONFIDENCE
from analysis.tables.curve_roles import roles_of
from analysis.tables.data import Runs, Tables
from analysis.tables.growth import grown
from analysis.tables.mirrored import SAID, mirrored_sets
from repro import studies

DRAWS = 4000  # enough for the tails of an interval that is simultaneous over all kinds


@dataclass(frozen=True)
class KindResiduals:
    """The law's residuals for one kind of run: predicted less actual mean loss of each configuration.

    Attributes:
        runs: one of each configuration. residual: (n,) nats.
        mean: nats. mean_abs: mean |residual|, nats. Intervals are simultaneous at 95% over the kinds.
        worth: geometric mean of N_eff / N_avg by the law's own size term; None where it has no finite size.
    """

    kind: str
    runs: Runs
    residual: Array
    mean: Measure
    mean_abs: Measure
    worth: float | None


def kinds(tables: Tables) -> dict[str, Runs]:
    """The runs of each kind: members of mirrored sets at the set's rate, grown models, and pruned ones whose learning rate decays."""
    chosen: dict[str, list[str]] = defaultdict(list)
    for own in mirrored_sets(tables):
        for kind, runs in own.members.items():
            chosen[SAID[kind]] += list(runs["run_id"])
    chosen["grown"] = [
        run_id for life in grown(tables) for runs in life.operators.values() for run_id in runs["run_id"]
    ]
    pruned = tables.selected(lambda r: r.serves(studies.POST_TRAINING) & r.started & (r["rho"] > 0))
    roles, _ = roles_of(pruned)
    # Dense runs of the law end at a low learning rate, and a run at its peak isn't done.
    chosen["pruned once"] = [run_id for run_id, role in zip(pruned["run_id"], roles, strict=True) if role == "decayed"]
    ids = tables.runs["run_id"].astype(str)
    return {kind: tables.runs.where(np.isin(ids, own)) for kind, own in chosen.items() if own}


def residuals(arrow: Arrow) -> tuple[KindResiduals, ...]:
    """The dense law's residuals by kind; empty if it can't be fitted to the dense runs."""
    law = arrow.law
    if isinstance(law, str):
        return ()
    found, spread = kinds(arrow.tables), arrow.noise.overall
    level = 1 - (1 - CONFIDENCE) / max(1, len(found))
    rng = np.random.default_rng([arrow.seed, 3])
    results = []
    for kind, runs in found.items():
        first, losses, seeds = _means(runs)
        life = first.life
        residual = law.predict(life) - losses
        draws = None
        if spread is not None and arrow.law_draws is not None:
            noise = spread.draws((DRAWS, len(losses)), rng) / np.sqrt(seeds)
            draws = arrow.law_draws.predict(life, DRAWS, rng) - losses - noise
        off, size = (None, None) if draws is None else (draws.mean(axis=1), np.abs(draws).mean(axis=1))
        mean = Measure.around(float(residual.mean()), off, level=level)
        mean_abs = Measure.around(float(np.abs(residual).mean()), size, least=0.0, level=level)
        worth = _worth(law.parameters, life, losses)
        results.append(KindResiduals(kind, first, residual, mean, mean_abs, worth))
    return tuple(results)


def _means(runs: Runs) -> tuple[Runs, Array, Array]:
    """One run of each configuration, its mean loss over seeds, and how many seeds that is."""
    rows = [np.flatnonzero(runs["recipe"] == recipe) for recipe in dict.fromkeys(runs["recipe"])]
    losses = np.array([runs["loss"][own].mean() for own in rows])
    return runs.where(np.array([own[0] for own in rows])), losses, np.array([len(own) for own in rows], dtype=float)


def _worth(p: Mapping[str, float], life: Columns, losses: Array) -> float | None:
    left = losses - p["E"] - p["B"] * life["D"] ** -p["beta"]
    if not (left > 0).all():
        return None
    return float(np.exp(np.mean(np.log(p["A"] / left) / p["alpha"] - np.log(life["N_avg"]))))
