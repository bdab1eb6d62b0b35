"""The runs of a simulated sweep: the whole programme in three sizes, with schedules resolved as a real sweep resolves them; the rows and tables of any simulated runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from analysis.tables.data import Runs, Tables
from repro import columns, ladder, schemas, studies
from repro.column import Trained
from repro.schedule import interval_for
from repro.spec import CorpusSpec, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
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
THETA = (1.5, 40.0, 0.35, 250.0, 0.4)  # E, A, alpha, B, beta of the law in N_avg: 10% of it is worth .04 to .05 nats
TENSORS = {"model.layers.0.self_attn.q_proj.weight": 0.4, "lm_head.weight": 0.6}  # and their shares of the weights
CORPUS = "simulated"
CLOSE = 0.005  # a partner's count; the tiniest models can't come closer


def programme(seeds: int, fresh_grid_seeds: int) -> Iterator[tuple[RunSpec, StudyName]]:
    """Every run and a study that asks for it: schedules, law set, pairs, dense ratios, robustness, iso-average, a control and seeds."""
    for size, budget, sparsity in itertools.product(SIZES, TOKENS_PER_PARAM, (0.0, *SPARSITIES)):
        yield run_of(size, budget, sparsity), studies.LAW
    middle = SIZES[MIDDLE]
    for budget, sparsity, (start, end), seed in itertools.product(
        TOKENS_PER_PARAM, SPARSITIES, WINDOWS, range(1 + fresh_grid_seeds)
    ):
        yield run_of(MIDDLE, budget, sparsity, start, end, seed), studies.SEEDS if seed else studies.SCHEDULES
    for budget, (sparsity, start, end) in itertools.product(TOKENS_PER_PARAM, ISO_AVERAGE):
        yield run_of(MIDDLE, budget, sparsity, start, end), studies.ISO_AVERAGE
    for size, ratio in itertools.product(SIZES, (5.0, 40.0)):
        yield run_of(size, f"{ratio:.0f}t", 0.0, tokens_per_param=ratio), studies.DENSE
    for sparsity, multiple in itertools.product((0.0, 0.8), MULTIPLES):
        yield run_of(MIDDLE, "10t", sparsity, lr=LR * multiple), studies.ROBUSTNESS
        yield run_of(MIDDLE, "10t", sparsity, batch=int(BATCH * multiple)), studies.ROBUSTNESS
    for sparsity, weight_decay in itertools.product((0.0, 0.8), (WEIGHT_DECAY, 0.0)):
        yield run_of(MIDDLE, "10t", sparsity, weight_decay=weight_decay), studies.CONTROLS
    for seed in range(1, seeds):
        yield run_of(MIDDLE, "10t", 0.0, seed=seed), studies.SEEDS
    for sparsity, seed in itertools.product(SPARSITIES, range(seeds)):
        sparse = run_of(MIDDLE, "10t", sparsity, seed=seed)
        yield sparse, studies.PAIRS
        average = sparse.schedule.n_avg(middle.prunable)
        for letter, count, target in (
            ("p", "prunable", average),
            ("t", "total", average + middle.total - middle.prunable),
        ):
            shape = ladder.partner(middle, target, count=count, mlp_multiple=1, tolerance=CLOSE)
            label = f"{MIDDLE}-{letter}{100 * sparsity:.0f}"
            yield run_of(label, "10t", seed=seed, shape=shape, dense_steps=sparse.schedule.total_steps), studies.PAIRS


def run_of(
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
    optimizer = OptimizerSpec(lr=lr, batch=batch, weight_decay=weight_decay)
    return spec_of(run_id, (size, budget), shape, dense_steps, seed, optimizer, pruning)


def spec_of(
    run_id: str,
    labels: tuple[str, str],
    shape: ladder.Shape,
    dense_steps: int,
    seed: int,
    optimizer: OptimizerSpec,
    pruning: PruningSpec = PruningSpec(),
    sequence: int = SEQUENCE,
) -> RunSpec:
    """The spec of a simulated run; `labels`: of its size and budget."""
    return RunSpec(
        run_id=run_id,
        size=labels[0],
        budget=labels[1],
        model=ModelSpec(**asdict(shape), sequence=sequence),
        corpus=CorpusSpec(source="package", name=CORPUS),
        optimizer=optimizer,
        pruning=pruning,
        dense_steps=dense_steps,
        seed=seed,
    )


def row_of(
    spec: RunSpec,
    served: Sequence[StudyName],
    loss: float,
    *,
    lr_wd_sum: float = 0.0,
    loss_se: float = 0.0,
    blocks: int = 1,
) -> dict[str, Any]:
    """The row that a run leaves in the table of a sweep, at a held-out loss; `blocks`: held-out blocks, of that loss each."""
    trained = Trained(
        spec=spec,
        corpus_hash="none",
        unique_tokens=10 * spec.tokens,
        weight_steps=spec.schedule.weight_steps(spec.model.shape.prunable),
        tokens=spec.tokens,
        lr_wd_sum=lr_wd_sum,
        loss=loss,
        loss_se=loss_se,
        loss_blocks=[loss] * blocks,
        loss_train=loss,
        seconds=1.0,
        seconds_setup=0.1,
        device="simulated",
    )
    return columns.row(trained) | {"sweep": "simulated", "studies": list(served)}


def in_tables(rows: list[dict[str, Any]], curves: Iterable[dict[str, Any]] = ()) -> Tables:
    """Rows of the runs table, and points of its curves, as a sweep's tables."""
    runs = Runs.from_arrow(pa.Table.from_pylist(rows, schema=schemas.RUNS))
    empty = {name: schemas.SCHEMAS[name].empty_table() for name in ("layers", "evaluations", "tasks")}
    drawn = pa.Table.from_pylist(list(curves), schema=schemas.CURVES)
    return Tables("simulated", runs, runs, drawn, **empty, sweep={"name": "simulated"}, flags=())
