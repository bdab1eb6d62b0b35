"""Simulated studies of training after pruning with a known truth: parents, pruned models of every method and rate, and controls.

Runs are those that a small sweep has: three sizes, seeds at the middle one. Losses are what a truth gives each point of
each curve, and noise of curves and of their points.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.tables.data import Tables
from analysis.tables.post_training import CurvePoints, curve_points
from analysis.worlds.simulated_programme import CORPUS, in_tables, row_of, spec_of
from analysis.worlds.simulated_programme import THETA as DENSE
from analysis.worlds.world import RecoveryWorld
from repro import ladder, schemas, studies, tables
from repro.spec import OptimizerSpec
from repro.store.folder import Folder

SIZES = {
    f"{total}k": ladder.Shape(d_model=d, layers=6, heads=2, mlp=4 * d, vocab=336)
    for total, d in (("12", 8), ("36", 16), ("120", 32))
}
MIDDLE = "36k"
METHODS = {"depth-taylor": None, "width-taylor": None, "sparsegpt": "2:4"}
RATES = {"12k": (0.18, 0.27, 0.36), "36k": (0.12, 0.23, 0.35), "120k": (0.14, 0.27, 0.41)}
TOKENS, AFTER = 4_096_000, np.geomspace(4_096, 409_600, 10)  # of a parent, and of the points of a curve
BATCH, SEQUENCE = 16, 32
# E, N_C, D_C, gamma, delta, alpha, beta: costs of .1 to 1.5 nats at these sizes.
THETA: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "depth-taylor": (1.5, 30.0, 200.0, -1.2, 0.1, 0.3, 0.35),
    "width-taylor": (1.0, 20.0, 300.0, -1.4, 0.12, 0.3, 0.4),
    "sparsegpt N:M": (0.8, 15.0, 150.0, -1.3, 0.1, 0.35, 0.38),
})  # fmt: skip
LEVEL, POINT = 0.003, 0.001  # noise: sd of a curve and of its points, nats
ONE_SHOT = 1.5  # nats, of the pruned model at D = 0 over the first point's L - L0

Truth = Callable[[RecoveryWorld], Array]


def simulate(
    truth: Truth = RecoveryWorld.losses,
    *,
    level: float = LEVEL,
    point: float = POINT,
    seed: int = 0,
    seeds: int = 3,
    theta: Mapping[str, tuple[float, ...]] = THETA,
    methods: tuple[str, ...] = tuple(METHODS),
) -> Tables:
    """The tables of a study.

    Args:
        truth: mean losses of all points in the world of P2.
        level, point: noise, nats. seed: of it.
        seeds: of the middle size.
        theta: of P2, by method. methods: those that are run.
    """
    made = design(seeds, methods)
    points, rng = curve_points(made), np.random.default_rng(seed)
    world = RecoveryWorld(points, {name: np.array(own) for name, own in theta.items()}, np.array(DENSE))
    _, member = np.unique(points["run_id"].astype(str), return_inverse=True)
    noise = level * rng.standard_normal(int(member.max()) + 1)[member] + point * rng.standard_normal(len(points))
    return with_losses(made, points, truth(world) + noise)


def with_losses(made: Tables, points: CurvePoints, losses: Array) -> Tables:
    """The tables with other losses (n,) of the points of curves, and of the runs that end there."""
    given = dict(zip(zip(points["run_id"], np.round(points["D"]), strict=True), losses.tolist(), strict=True))
    found = [
        given.get((run_id, float(tokens)), loss)
        for run_id, tokens, loss in zip(
            *(made.curves[name].to_pylist() for name in ("run_id", "tokens", "loss_eval")), strict=True
        )
    ]
    at = made.curves.schema.get_field_index("loss_eval")
    curves = made.curves.set_column(at, made.curves.schema.field(at), pa.array(found, pa.float64()))
    ends = {points["run_id"][own[-1]]: float(losses[own[-1]]) for own in points.curves.values()}
    runs = [
        replace(own, columns={**own.columns, "loss": np.array([
            ends.get(run_id, loss) for run_id, loss in zip(own["run_id"], own["loss"], strict=True)
        ], dtype=float)})
        for own in (made.runs, made.all_runs)
    ]  # fmt: skip
    return replace(made, runs=runs[0], all_runs=runs[1], curves=curves)


def write(folder: Folder, found: Tables) -> None:
    """Leaves a results folder of these tables behind, as a sweep does."""
    rows = [{name: _cell(row[name]) for name in schemas.RUNS.names} for row in found.all_runs.rows()]
    tables.write(folder, "runs.parquet", "runs", rows)
    tables.write_arrow(folder, "curves.parquet", found.curves)
    folder.write_json("sweep.json", {"name": "simulated", "corpus": CORPUS, "failed": []})


def _cell(value: Any) -> Any:
    """A cell as Arrow takes it: null for nan."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float):
        return None if np.isnan(value) else int(value) if value.is_integer() else value
    return value


@cache
def design(seeds: int = 3, methods: tuple[str, ...] = tuple(METHODS)) -> Tables:
    """The runs and the points of their curves; a pruned model's losses are its parent's."""
    rows = list(_rows(seeds, methods))
    curves = [point for row in rows for point in _curve(row)]
    return in_tables(rows, curves)


def _rows(seeds: int, methods: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for size in SIZES:
        for seed in range(seeds if size == MIDDLE else 1):
            parent = _parent(size, seed)
            yield parent
            yield _child(parent, methods[0], 0.0)
            for method, rate in itertools.product(methods, RATES[size]):
                yield _child(parent, method, rate)
    middle = _parent(MIDDLE, 0)
    for method, rate in itertools.product(("random-depth", "random-width"), RATES[MIDDLE][1:2]):
        yield _child(middle, method, rate)
    for factor in (0.3, 3.0):
        usual = _child(middle, methods[0], RATES[MIDDLE][1])
        yield usual | {
            "run_id": f"{usual['run_id']}-lr{factor:g}", "recipe": f"lr{factor:g}", "lr": factor * usual["lr"],
        }  # fmt: skip
    for method in methods:
        yield _child(middle, method, RATES[MIDDLE][1], age=TOKENS // 4)
        yield _child(middle, method, RATES[MIDDLE][1]) | {
            "run_id": f"{MIDDLE}-{method}-decayed", "recipe": f"{method}-decayed", "decay": 0.5,
        }  # fmt: skip


def _parent(size: str, seed: int) -> dict[str, Any]:
    shape = SIZES[size]
    steps, optimizer = TOKENS // (BATCH * SEQUENCE), OptimizerSpec(lr=0.01, batch=BATCH, lr_schedule="wsd", decay=1)
    spec = spec_of(f"{size}-seed{seed}", (size, "parent"), shape, steps, seed, optimizer, sequence=SEQUENCE)
    loss = _dense_loss(shape.prunable, TOKENS)
    return row_of(spec, [studies.PARENTS], loss)


def _child(parent: dict[str, Any], method: str, rate: float, age: int = TOKENS) -> dict[str, Any]:
    """A run that goes on from a pruned model, as a sweep would leave it behind."""
    before, after = float(parent["N_prunable"]), parent["N_prunable"] - rate * parent["N_total"]
    tokens, loss = int(AFTER[-1]), _dense_loss(before, age)
    name = f"{parent['run_id']}-{method}-{100 * rate:g}" + ("" if age == TOKENS else f"-at{age}")
    return parent | {
        "run_id": name, "fingerprint": name, "recipe": name.replace(f"-seed{parent['seed']}", ""),
        "studies": [studies.POST_TRAINING], "parent": parent["run_id"], "parent_recipe": parent["recipe"],
        "parent_step": age // (BATCH * SEQUENCE), "budget": "after", "warmup": 2.0, "total_steps": tokens // (BATCH * SEQUENCE),
        "surgery": method, "surgery_structure": METHODS.get(method), "surgery_rate": rate, "surgery_seed": 0,
        "surgery_calibration": "simulated", "N_total_before": parent["N_total"], "rho": rate,
        "rho_linear": rate * parent["N_total"] / before, "L_before": loss, "L_parent": loss + ONE_SHOT * rate,
        "N_avg": after, "N_final": round(after), "D": tokens, "D_life": age + tokens, "loss": loss,
        "N_avg_life": (before * age + after * tokens) / (age + tokens),
    }  # fmt: skip


def _dense_loss(count: float, tokens: float) -> float:
    return float(N_AVG.predict(np.array(DENSE), {"N_avg": np.array([count]), "D": np.array([tokens])})[0])


def _curve(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A child's points, or a parent's on its way."""
    child = row["surgery"] is not None
    for tokens in AFTER if child else np.linspace(0.1, 1.0, 10) * TOKENS:
        step = round(tokens / (BATCH * SEQUENCE))
        yield {
            "run_id": row["run_id"], "step": step, "tokens": step * BATCH * SEQUENCE, "effective_flops": 0.0,
            "density": 1.0, "lr": row["lr"], "loss_train": row["loss"], "grad_norm": 1.0, "ms": 1.0,
            "loss_eval": row["loss"] if child else _dense_loss(row["N_prunable"], step * BATCH * SEQUENCE),
        }  # fmt: skip
