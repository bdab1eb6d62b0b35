"""Simulated mirrored sets and growth with a known truth: runs of equal N_avg with N(t) of every kind, and dense runs.

Rows are those that a sweep with the studies `mirror` and `growth` leaves behind; losses are what a law in N_w gives each,
and noise of the seeds.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.tables.data import Runs
from analysis.tables.mirrored import KINDS, USUAL, Kind, kind_of
from analysis.tables.schedules import weighted_counts
from analysis.worlds.simulated_programme import BATCH, LR, SEQUENCE, THETA, in_tables, row_of, spec_of
from repro import ladder, studies
from repro.schedule import Pieces, PruningSchedule
from repro.spec import OptimizerSpec, PruningSpec, RunSpec
from repro.studies import StudyName

SIZES = {
    "8k": ladder.Shape(d_model=16, layers=2, heads=2, mlp=44, vocab=256),
    "25k": ladder.Shape(d_model=32, layers=2, heads=2, mlp=72, vocab=256),
    "40k": ladder.Shape(d_model=40, layers=2, heads=2, mlp=104, vocab=256),
}
SIZE = "25k"  # that of the sets
BUDGETS = {"20t": 20.0, "40t": 40.0}  # tokens of the dense run of equal compute per prunable weight
SPARSITIES = (0.4, 0.8)
CONTROLLED = "20t", 0.8  # the cell with controls
MULTIPLES = (0.5, 2.0)
LOSS = 3.0  # of a row before its own is drawn
OPERATORS = ("grow-inner", "grow-inner-noise", "grow-depth-zero", "grow-depth-stack")
GROWN_AT = 0.3  # share of the life's tokens


@dataclass(frozen=True)
class ArrowTruth:
    """What the drawn runs obey.

    Attributes:
        kappa: exponent of the weight in time; 0 is N_avg. theta: of the law in N_w.
        offsets: nats that a kind, or an operator, ends higher than that.
        sigma: sd of a run's loss over seeds, nats. shared: share of its variance that runs of one seed and width have in common.
        misfit: sd by which means of configurations, dense ones among them, lie off the law, nats.
        rates: nats that a member of a set loses at twice or half the best learning rate, which is the set's.
    """

    kappa: float = 0.0
    theta: tuple[float, ...] = THETA
    offsets: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    sigma: float = 0.004
    shared: float = 0.0
    misfit: float = 0.0
    rates: float = 0.03


def simulate(
    truth: ArrowTruth = ArrowTruth(), *, seeds: int = 3, seed: int = 0, growth: bool = True
) -> list[dict[str, Any]]:
    """Rows of the runs table.

    Args:
        truth: law and noise.
        seeds: of each run. seed: of the noise.
        growth: whether the study of that name is there.
    """
    rows = [row for own in range(seeds) for row in _rows(own, growth)]
    rng = np.random.default_rng(seed)
    own = rng.standard_normal(len(rows))
    common, off = (_by(rows, names, rng) for names in (("seed", "d_model", "mlp"), ("recipe",)))
    noise = np.sqrt(1 - truth.shared) * own + np.sqrt(truth.shared) * common
    losses = means(in_tables(rows).runs, truth) + truth.sigma * noise + truth.misfit * off
    return [row | {"loss": float(loss)} for row, loss in zip(rows, losses, strict=True)]


def _by(rows: list[dict[str, Any]], names: tuple[str, ...], rng: np.random.Generator) -> Array:
    """Normal draws (n,), one for all rows that are equal in some columns."""
    groups = {key: i for i, key in enumerate(dict.fromkeys(tuple(row[name] for name in names) for row in rows))}
    drawn = rng.standard_normal(len(groups))
    return np.array([drawn[groups[tuple(row[name] for name in names)]] for row in rows])


def means(runs: Runs, truth: ArrowTruth) -> Array:
    """Mean losses (n,) in nats per token."""
    life = runs.life
    count = np.where(runs.started, life["N_avg"], weighted_counts(runs, np.array([truth.kappa]))[:, 0])
    names = [kind_of(run) or run["surgery"] for run in runs.rows()]
    offsets = np.array([truth.offsets.get(str(name), 0.0) for name in names])
    rates = truth.rates * np.log2(runs["lr"] / LR) ** 2
    return N_AVG.predict(np.array(truth.theta), {"N_avg": count, "D": life["D"]}) + offsets + rates


def _rows(seed: int, growth: bool) -> Iterator[dict[str, Any]]:
    for size, (budget, ratio) in itertools.product(SIZES, BUDGETS.items()):
        yield _dense(size, budget, SIZES[size], _steps(SIZES[size], ratio), seed, studies.LAW)
    for (budget, ratio), sparsity in itertools.product(BUDGETS.items(), SPARSITIES):
        yield from _set(budget, ratio, sparsity, seed)
    if growth:
        yield from _grown(seed)


def _steps(shape: ladder.Shape, ratio: float) -> int:
    return round(ratio * shape.prunable / (BATCH * SEQUENCE))


def _spec(
    size: str, budget: str, shape: ladder.Shape, steps: int, seed: int, pruning: PruningSpec = PruningSpec()
) -> RunSpec:
    run_id, optimizer = (
        f"{size}-{budget}-{pruning.sparsity:g}-seed{seed}",
        OptimizerSpec(lr=LR, batch=BATCH, lr_schedule="cosine_compute"),
    )
    return spec_of(run_id, (size, budget), shape, steps, seed, optimizer, pruning)


def _dense(size: str, budget: str, shape: ladder.Shape, steps: int, seed: int, study: StudyName) -> dict[str, Any]:
    return row_of(_spec(size, budget, shape, steps, seed), [study], LOSS)


def _set(budget: str, ratio: float, sparsity: float, seed: int) -> Iterator[dict[str, Any]]:
    """The members of a set, its dense runs, and in one cell its controls."""
    shape = SIZES[SIZE]
    pruning = PruningSpec(sparsity=sparsity, interval=5, shape="geometric")
    spec = _spec(SIZE, budget, shape, _steps(shape, ratio), seed, pruning)
    falling = row_of(spec, [studies.MIRROR], LOSS) | {"family": f"{SIZE}-{budget}-mirror{100 * sparsity:.0f}"}
    pieces = {kind: _pieces(kind, spec.schedule) for kind in KINDS}
    members = {kind: _member(falling, kind, pieces[kind]) for kind in KINDS}
    yield from members.values()
    steps = spec.schedule.total_steps
    yield _dense(SIZE, f"{budget}-D{100 * sparsity:.0f}", shape, steps, seed, studies.MIRROR)
    partner = ladder.partner(shape, falling["N_avg"], count="prunable", mlp_multiple=1, tolerance=0.02)
    yield _dense(f"{SIZE}-p{100 * sparsity:.0f}", budget, partner, steps, seed, studies.MIRROR)
    if (budget, sparsity) == CONTROLLED:
        for kind, change in _controls():
            name = "-".join(map(str, itertools.chain(*change.items())))
            yield _named(members[kind] | change, f"{kind}-{name}")


def _controls() -> Iterator[tuple[Kind, dict[str, Any]]]:
    kinds: tuple[Kind, ...] = ("falling", "rising", "static")
    yield from (("falling", {"lr_schedule": "cosine"}), ("rising", {"lr_schedule": "cosine"}))
    yield from (("rising", {"fill": "draw"}), ("rising", {"choose": "gradient"}))
    yield from (("falling", {"score": "random"}), ("static", {"score": "magnitude"}))
    yield from ((kind, {"lr": LR * multiple}) for kind, multiple in itertools.product(kinds, MULTIPLES))


def _member(falling: dict[str, Any], kind: Kind, pieces: Pieces[float]) -> dict[str, Any]:
    """The falling run's row as that of another kind with the same average, tokens and steps."""
    score, choose, fill = USUAL[kind]
    shape = {"falling": "geometric", "rising": "geometric", "static": "constant", "moving": "constant"}.get(kind, kind)
    row = falling | {
        "shape": shape, "mirror": True if kind == "rising" else None, "score": score, "choose": choose, "fill": fill,
        "moves": "every 10 steps" if kind == "moving" else None,
        "N_final": int(falling["N_prunable"] * pieces.final), "sparsity": 1 - min(pieces.weights),
    }  # fmt: skip
    if kind not in ("falling", "static", "moving"):
        row["pieces"] = json.dumps([*zip(pieces.first_steps, pieces.weights, strict=True)])
    return _named(row, kind)


def _named(row: dict[str, Any], name: str) -> dict[str, Any]:
    return row | {
        "run_id": f"{row['family']}-{name}-seed{row['seed']}",
        "recipe": f"{row['family']}-{name}",
        "fingerprint": f"{row['family']}-{name}-{row['seed']}",
    }


def _pieces(kind: Kind, schedule: PruningSchedule) -> Pieces[float]:
    """Density over the steps of a kind with the average of a falling schedule."""
    total, mean = schedule.total_steps, schedule.density_avg
    if kind == "falling":
        return schedule.densities
    if kind == "rising":
        return schedule.densities.mirrored()
    if kind in ("static", "moving"):
        return Pieces((0,), (mean,), total)
    if kind == "static_dense":
        low = 0.5 if mean > 0.55 else 0.25
        return Pieces((0, round((1 - mean) / (1 - low) * total)), (low, 1.0), total)
    high = min(1.0, 1.5 * mean)
    return Pieces(tuple(round(i * total / 4) for i in range(4)), (high, 2 * mean - high) * 2, total)


def _grown(seed: int) -> Iterator[dict[str, Any]]:
    """A small parent, models grown from it, and from scratch the small, the large and the one of the life's average."""
    small, large = SIZES["8k"], SIZES["25k"]
    steps = _steps(large, BUDGETS["20t"])
    begun = round(GROWN_AT * steps)
    average = GROWN_AT * small.prunable + (1 - GROWN_AT) * large.prunable
    parent = _dense("8k", "parent", small, begun, seed, studies.GROWTH) | {"lr_schedule": "wsd"}
    yield parent
    for operator in OPERATORS:
        own = _dense("25k", "grown", large, steps - begun, seed, studies.GROWTH)
        yield _named(own | {
            "family": "25k-grown", "surgery": operator, "parent": parent["run_id"], "parent_recipe": parent["recipe"],
            "parent_step": begun, "surgery_factor": 2, "N_total_before": small.total, "D_life": parent["D"] + own["D"],
            "N_avg_life": (parent["N_prunable"] * parent["D"] + own["N_prunable"] * own["D"]) / (parent["D"] + own["D"]),
        }, operator)  # fmt: skip
    partner = ladder.partner(large, average, count="prunable", mlp_multiple=1, tolerance=0.02)
    for size, shape in (("8k", small), ("25k", large), ("25k-life", partner)):
        yield _named(_dense(size, "life", shape, steps, seed, studies.GROWTH), "scratch")
