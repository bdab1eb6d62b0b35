"""Tables drawn from a known law: the whole programme's runs, with schedules resolved as a real sweep resolves them.

Fits, intervals and verdicts on such tables can be compared with the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.laws.law import Law
from analysis.laws.registry import N_AVG
from analysis.tables.schedules import schedule_of
from analysis.worlds.simulated_programme import BATCH, BLOCKS, CORPUS, LR, TENSORS, THETA, programme, row_of
from repro import columns, studies, tables
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.studies import StudyName

Penalty = Callable[[float, float, float], float]


def tuned(sparsity: float, lr: float, batch: float) -> float:
    """Nats added by a learning rate and a batch, as multiples of the tuned ones."""
    return 0.03 * float(np.log2(lr)) ** 2 + 0.02 * float(np.log2(batch)) ** 2


def no_penalty(sparsity: float, start: float, end: float) -> float:
    return 0.0


@dataclass(frozen=True)
class Truth:
    """What the drawn runs obey.

    Attributes:
        law: the law. theta: its parameters, in its order.
        sigma: sd of a run's loss over seeds, nats.
        penalty: nats added by a schedule, from (sparsity, start, end).
        recipe: nats added by a learning rate and a batch, from (sparsity, their multiples of the tuned ones).
    """

    law: Law = N_AVG
    theta: tuple[float, ...] = THETA
    sigma: float = 0.004
    penalty: Penalty = field(default=no_penalty)
    recipe: Penalty = field(default=tuned)


def simulate(truth: Truth, *, seed: int = 0, seeds: int = 3, fresh_grid_seeds: int = 0) -> list[dict[str, Any]]:
    """Rows of the runs table of a sweep: schedules, law set, pairs, dense ratios, robustness, iso-average, a control and seeds.

    Args:
        truth: law, noise and what schedules cost.
        seed: of the noise.
        seeds: seeds of the pairs and of the dense middle size.
        fresh_grid_seeds: further seeds of every schedule of the grid.
    """
    asked: dict[RunSpec, list[StudyName]] = {}
    for spec, study in programme(seeds, fresh_grid_seeds):
        asked.setdefault(spec, []).append(study)
    rng = np.random.default_rng(seed)
    return [drawn_row(spec, list(dict.fromkeys(own)), truth, rng) for spec, own in asked.items()]


def write(folder: Folder, rows: list[dict[str, Any]]) -> None:
    """Leaves a results folder of these runs behind, as a sweep does, with a curve of each."""
    tables.write(folder, "runs.parquet", "runs", rows)
    tables.write(folder, "curves.parquet", "curves", [point for row in rows for point in _curve(row)])
    tables.write(folder, "layers.parquet", "layers", [held for row in rows for held in _layers(row)])
    folder.write_json("sweep.json", {"name": "simulated", "corpus": CORPUS, "failed": []})


def drawn_row(spec: RunSpec, studies: list[StudyName], truth: Truth, rng: np.random.Generator) -> dict[str, Any]:
    """The row of a run that obeys `truth`, with noise of its own."""
    schedule, pruning, optimizer = spec.schedule, spec.pruning, spec.optimizer
    known = columns.planned(spec)
    known |= {"N": known["N_final"], "S": known["sparsity"]}
    given = {name: np.array([float(known[name])]) for name in ("N", "S", "N_avg", "N_final", "N_prunable", "D")}
    mean = float(truth.law.predict(np.array(truth.theta), given)[0])
    if pruning.sparsity:
        mean += truth.penalty(pruning.sparsity, pruning.start, pruning.end)
    mean += truth.recipe(pruning.sparsity, optimizer.lr / LR, optimizer.batch / BATCH)
    loss = mean + truth.sigma * float(rng.standard_normal())
    rates = 0.5 * optimizer.lr * optimizer.weight_decay * schedule.total_steps
    return row_of(spec, studies, loss, lr_wd_sum=rates, loss_se=truth.sigma, blocks=BLOCKS)


def _curve(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A curve that comes down to the run's loss as a power of the steps done."""
    steps, schedule = row["total_steps"], schedule_of(row)
    for step in sorted({1, steps, *range(10, steps, max(1, steps // 40))}):
        loss = row["loss"] + (np.log(row["vocab"]) - row["loss"]) * (step**-0.5 - steps**-0.5)
        yield {
            "run_id": row["run_id"],
            "step": step,
            "tokens": step * row["batch_tokens"],
            "effective_flops": row["effective_flops"] * schedule.compute_at(step) / schedule.compute,
            "density": schedule.density(step - 1),
            "lr": row["lr"],
            "loss_train": loss,
            "grad_norm": 1.0,
            "loss_eval": loss if step == steps else None,
            "ms": 1.0,
        }


def _layers(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every tensor at the density of the whole, at every event of the law set's runs."""
    if not row["sparsity"] or studies.LAW not in row["studies"]:
        return
    schedule = schedule_of(row)
    for event, (step, density) in enumerate(zip(schedule.event_steps, schedule.event_densities, strict=True)):
        for tensor, share in TENSORS.items():
            size = round(share * row["N_prunable"])
            held = {"run_id": row["run_id"], "event": event, "step": step, "tensor": tensor, "size": size}
            yield held | {"kept": round(size * density)}
