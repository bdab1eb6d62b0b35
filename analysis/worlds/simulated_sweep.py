"""Tables drawn from a known law: the whole programme's runs, with schedules resolved as a real sweep resolves them.

What a fit, an interval or a verdict says of such tables can be compared with the truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from analysis.laws.law import Law
from analysis.laws.registry import N_AVG
from analysis.tables.schedules import schedule_of
from repro import columns, ladder, studies, tables
from repro.schedule import interval_for
from repro.spec import CorpusSpec, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
from repro.store.folder import Folder
from repro.studies import StudyName

SIZES = {
    "8k": ladder.Shape(d_model=16, layers=2, heads=2, mlp=44, vocab=256),
    "25k": ladder.Shape(d_model=32, layers=2, heads=2, mlp=72, vocab=256),
    "90k": ladder.Shape(d_model=56, layers=3, heads=2, mlp=152, vocab=256),
}
MIDDLE = "25k"
TOKENS_PER_PARAM = {"10t": 10.0, "20t": 20.0}
SPARSITIES = (0.2, 0.4, 0.6, 0.8)
WINDOWS = tuple((d / 100, (d + p) / 100) for d in (0, 25, 50, 75) for p in (25, 50, 75, 100) if d + p <= 100)
ISO_AVERAGE = ((0.4, 0.5, 0.75), (0.6, 0.5, 1.0), (0.8, 0.75, 1.0))
MULTIPLES = (0.25, 1.0, 4.0)
BATCH, SEQUENCE, BLOCKS, LR, WEIGHT_DECAY = 32, 16, 64, 0.01, 0.1
TENSORS = {"model.layers.0.self_attn.q_proj.weight": 0.4, "lm_head.weight": 0.6}  # and their shares of the weights
CORPUS = "simulated"
CLOSE = 0.005  # a partner's count; the tiniest models can't come closer

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
    theta: tuple[float, ...] = (1.5, 40.0, 0.35, 250.0, 0.4)
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
    for spec, study in _programme(seeds, fresh_grid_seeds):
        asked.setdefault(spec, []).append(study)
    rng = np.random.default_rng(seed)
    return [_row(spec, list(dict.fromkeys(own)), truth, rng) for spec, own in asked.items()]


def simulate_map(
    truth: Truth,
    cells: Mapping[str, Iterable[float]],
    *,
    sparsities: tuple[float, ...] = (0.4, 0.8),
    seeds: int = 3,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rows of a `regime` study alone: dense runs, and sparse runs with their dense partners.

    Args:
        cells: tokens per parameter by size, of SIZES.
        seeds: of each run. seed: of the noise.
    """
    rng, rows = np.random.default_rng(seed), {}
    for size, ratios in cells.items():
        for ratio, own in itertools.product(ratios, range(seeds)):
            budget = f"{ratio:g}t"
            dense = _spec(size, budget, seed=own, tokens_per_param=ratio)
            rows[dense.fingerprint] = _row(dense, [studies.REGIME], truth, rng)
            for sparsity in sparsities:
                sparse = _spec(size, budget, sparsity, seed=own, tokens_per_param=ratio)
                average = sparse.schedule.n_avg(SIZES[size].prunable)
                shape = ladder.partner(SIZES[size], average, count="prunable", mlp_multiple=1, tolerance=0.02)
                label, steps = f"{size}-p{100 * sparsity:.0f}", sparse.schedule.total_steps
                for spec in (sparse, _spec(label, budget, seed=own, shape=shape, dense_steps=steps)):
                    rows[spec.fingerprint] = _row(spec, [studies.REGIME], truth, rng)
    return list(rows.values())


def write(folder: Folder, rows: list[dict[str, Any]]) -> None:
    """Leaves a results folder of these runs behind, as a sweep does, with a curve of each."""
    tables.write(folder, "runs.parquet", "runs", rows)
    tables.write(folder, "curves.parquet", "curves", [point for row in rows for point in _curve(row)])
    tables.write(folder, "layers.parquet", "layers", [held for row in rows for held in _layers(row)])
    folder.write_json("sweep.json", {"name": "simulated", "corpus": CORPUS, "failed": []})


def _programme(seeds: int, fresh_grid_seeds: int) -> Iterator[tuple[RunSpec, StudyName]]:
    for size, budget, sparsity in itertools.product(SIZES, TOKENS_PER_PARAM, (0.0, *SPARSITIES)):
        yield _spec(size, budget, sparsity), studies.LAW
    middle = SIZES[MIDDLE]
    for budget, sparsity, (start, end), seed in itertools.product(
        TOKENS_PER_PARAM, SPARSITIES, WINDOWS, range(1 + fresh_grid_seeds)
    ):
        yield _spec(MIDDLE, budget, sparsity, start, end, seed), studies.SEEDS if seed else studies.SCHEDULES
    for budget, (sparsity, start, end) in itertools.product(TOKENS_PER_PARAM, ISO_AVERAGE):
        yield _spec(MIDDLE, budget, sparsity, start, end), studies.ISO_AVERAGE
    for size, ratio in itertools.product(SIZES, (5.0, 40.0)):
        yield _spec(size, f"{ratio:.0f}t", 0.0, tokens_per_param=ratio), studies.DENSE
    for sparsity, multiple in itertools.product((0.0, 0.8), MULTIPLES):
        yield _spec(MIDDLE, "10t", sparsity, lr=LR * multiple), studies.ROBUSTNESS
        yield _spec(MIDDLE, "10t", sparsity, batch=int(BATCH * multiple)), studies.ROBUSTNESS
    for sparsity, weight_decay in itertools.product((0.0, 0.8), (WEIGHT_DECAY, 0.0)):
        yield _spec(MIDDLE, "10t", sparsity, weight_decay=weight_decay), studies.CONTROLS
    for seed in range(1, seeds):
        yield _spec(MIDDLE, "10t", 0.0, seed=seed), studies.SEEDS
    for sparsity, seed in itertools.product(SPARSITIES, range(seeds)):
        sparse = _spec(MIDDLE, "10t", sparsity, seed=seed)
        yield sparse, studies.PAIRS
        average = sparse.schedule.n_avg(middle.prunable)
        for letter, count, target in (
            ("p", "prunable", average),
            ("t", "total", average + middle.total - middle.prunable),
        ):
            shape = ladder.partner(middle, target, count=count, mlp_multiple=1, tolerance=CLOSE)
            label = f"{MIDDLE}-{letter}{100 * sparsity:.0f}"
            yield _spec(label, "10t", seed=seed, shape=shape, dense_steps=sparse.schedule.total_steps), studies.PAIRS


def _spec(
    size: str,
    budget: str,
    sparsity: float = 0.0,
    start: float = 0.25,
    end: float = 0.75,
    seed: int = 0,
    *,
    shape: ladder.Shape | None = None,
    dense_steps: int | None = None,
    tokens_per_param: float | None = None,
    lr: float = LR,
    batch: int = BATCH,
    weight_decay: float = WEIGHT_DECAY,
) -> RunSpec:
    """One run: of the shape of its size and the steps of its budget, unless they are given."""
    shape = shape or SIZES[size]
    if dense_steps is None:
        ratio = TOKENS_PER_PARAM[budget] if tokens_per_param is None else tokens_per_param
        dense_steps = round(ratio * shape.prunable / (batch * SEQUENCE))
    run_id = f"{size}-{budget}-s{100 * sparsity:.0f}-d{100 * start:.0f}-p{100 * (end - start):.0f}-seed{seed}"
    for name, value, usual in (("lr", lr, LR), ("b", batch, BATCH), ("wd", weight_decay, WEIGHT_DECAY)):
        run_id += f"-{name}{value:g}" if value != usual else ""
    pruning = PruningSpec()
    if sparsity:
        interval = interval_for(dense_steps, 0.25)
        pruning = PruningSpec(sparsity=sparsity, start=start, end=end, interval=interval, shape="geometric")
    return RunSpec(
        run_id=run_id,
        size=size,
        budget=budget,
        model=ModelSpec(**asdict(shape), sequence=SEQUENCE),
        corpus=CorpusSpec(source="package", name=CORPUS),
        optimizer=OptimizerSpec(lr=lr, batch=batch, weight_decay=weight_decay),
        pruning=pruning,
        dense_steps=dense_steps,
        seed=seed,
    )


def _row(spec: RunSpec, studies: list[str], truth: Truth, rng: np.random.Generator) -> dict[str, Any]:
    schedule, pruning, optimizer = spec.schedule, spec.pruning, spec.optimizer
    known = columns.planned(spec)
    known |= {"N": known["N_final"], "S": known["sparsity"]}
    given = {name: np.array([float(known[name])]) for name in ("N", "S", "N_avg", "N_final", "N_prunable", "D")}
    mean = float(truth.law.predict(np.array(truth.theta), given)[0])
    if pruning.sparsity:
        mean += truth.penalty(pruning.sparsity, pruning.start, pruning.end)
    mean += truth.recipe(pruning.sparsity, optimizer.lr / LR, optimizer.batch / BATCH)
    loss = mean + truth.sigma * float(rng.standard_normal())
    trained = columns.Trained(
        spec=spec,
        corpus_hash="none",
        unique_tokens=10 * spec.tokens,
        weight_steps=schedule.weight_steps(spec.model.shape.prunable),
        tokens=spec.tokens,
        lr_wd_sum=0.5 * optimizer.lr * optimizer.weight_decay * schedule.total_steps,
        loss=loss,
        loss_se=truth.sigma,
        loss_blocks=[loss] * BLOCKS,
        loss_train=loss,
        seconds=1.0,
        seconds_setup=0.1,
        device="simulated",
    )
    return columns.row(trained) | {"sweep": "simulated", "studies": studies}


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
            yield {
                "run_id": row["run_id"],
                "event": event,
                "step": step,
                "tensor": tensor,
                "size": size,
                "kept": round(size * density),
            }
