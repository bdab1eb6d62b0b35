"""What the mirror in time costs in the solvable random-feature model, drawn without any table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import Panel, Points
from analysis.laws.law import Array
from analysis.worlds.random_features import RandomFeatureModel, Removal
from repro.schedule import PruningSchedule

NAME = "random_features"
TITLE = "The random-feature model"
NOTHING = "no number of features was asked for"
CAPTION = (
    "Loss at the end of 48 steps of random features (arXiv 2402.01092, eigenvalues 1/k, task k^-1.5) whose number falls by 25/50/25, of its "
    "mirror image, which rises, and of the constant number of equal average. Zeroed: what a removed feature has learned is lost; frozen: it "
    "stays. Above 1 a rising run ends worse. With many features, a constant learning rate and nothing zeroed all are equal: the average is "
    "exact. Zeroing costs a falling run what the removed features had learned. Under a cosine over steps the average that counts is weighted "
    "by the learning rate, so that rising runs pay; under one over compute they would not. With few features the last ones matter more, and "
    "rising runs gain on constant ones."
)
COLUMNS = 2

SIZES = (64, 256, 4096)
SPARSITIES = (0.2, 0.4, 0.6, 0.8)
STEPS = 48
INTERVAL = 4
CONSTANT_RATE, COSINE = "constant", "cosine"
RATES: dict[str, Array] = {
    CONSTANT_RATE: np.ones(STEPS),
    COSINE: 1 + np.cos(np.pi * (np.arange(STEPS) + 0.5) / STEPS),
}
KINDS: tuple[tuple[str, Removal], ...] = (
    ("falling", "zeroed"),
    ("falling", "frozen"),
    ("rising", "zeroed"),
    ("constant", "zeroed"),
)


def solve(features: int) -> Iterator[dict[str, Any]]:
    """One row a schedule, removal and learning rate at N0 = `features`; the loss is half the mean squared error."""
    model = RandomFeatureModel.power_law(features)
    for sparsity in SPARSITIES:
        falling = PruningSchedule.in_steps(sparsity, STEPS // 4, 3 * STEPS // 4, STEPS, INTERVAL)
        average = falling.n_avg(features)
        counts = {
            "falling": _by_step(falling, features),
            "rising": _by_step(falling.mirrored(), features),
            "constant": np.full(STEPS, average),
        }
        for rates, factors in RATES.items():
            for schedule, removal in KINDS:
                yield {
                    "features": features,
                    "sparsity": sparsity,
                    "N_avg": average,
                    "schedule": schedule,
                    "removal": removal,
                    "rates": rates,
                    "loss": float(model.losses(counts[schedule], removal, factors)[-1]),
                }


def _by_step(schedule: PruningSchedule, features: int) -> Array:
    """Features present in each step, (T,)."""
    weights = schedule.weights(features)
    return np.array([float(weights.at(step)) for step in range(STEPS)])


def rows(solved: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `solve` for every size."""
    return solved


def panels(solved: list[dict[str, Any]]) -> list[Panel]:
    """Loss over N_avg at the middle size; ratios of losses over sparsity by size, which are 1 where the average is exact."""
    if not solved:
        return []
    sizes = sorted({row["features"] for row in solved})
    middle = sizes[len(sizes) // 2]
    return [
        Panel(f"{middle:,} features, constant rate", "average features", "loss", _losses(solved, middle), log_y=True),
        _ratio(solved, sizes, "rising ÷ falling, zeroed", ("falling", "zeroed")),
        _ratio(solved, sizes, "rising ÷ falling, frozen", ("falling", "frozen")),
        _ratio(solved, sizes, "rising ÷ constant", ("constant", "zeroed")),
    ]


def _losses(solved: list[dict[str, Any]], features: int) -> tuple[Points, ...]:
    found = {kind: _chosen(solved, features, *kind, CONSTANT_RATE) for kind in KINDS}
    return tuple(
        Points(_look(*kind), _column(own, "N_avg"), _column(own, "loss"), _names(own), joined=True)
        for kind, own in found.items()
    )


def _look(schedule: str, removal: Removal) -> style.Look:
    """That of a network whose N(t) goes so; hollow where what a removed feature has learned stays."""
    if schedule == "falling":
        return style.of_way(schedule, "run" if removal == "zeroed" else "partner", f"falling, {removal}")
    return style.of_way("static" if schedule == "constant" else schedule, label=schedule)


def _ratio(solved: list[dict[str, Any]], sizes: list[int], title: str, other: tuple[str, Removal]) -> Panel:
    """The loss of rising runs over that of others, filled at a constant learning rate and hollow under a cosine."""
    found = []
    for rates in RATES:
        for rank, features in enumerate(sizes):
            rising = _chosen(solved, features, "rising", "zeroed", rates)
            beside = _chosen(solved, features, *other, rates)
            said = f"{features:,} features" + ", cosine" * (rates == COSINE)
            look = style.of_size(rank, len(sizes), said, "partner" if rates == COSINE else "run")
            ratio = _column(rising, "loss") / _column(beside, "loss")
            found.append(Points(look, _column(rising, "sparsity"), ratio, _names(rising), joined=True))
    ends = np.array([SPARSITIES[0], SPARSITIES[-1]])
    return Panel(title, "sparsity", "ratio of losses", tuple(found), guides=((ends, np.ones(2)),))


def _chosen(
    solved: list[dict[str, Any]], features: int, schedule: str, removal: Removal, rates: str
) -> list[dict[str, Any]]:
    wanted = {"features": features, "schedule": schedule, "removal": removal, "rates": rates}
    return [row for row in solved if wanted.items() <= row.items()]


def _column(rows: list[dict[str, Any]], name: str) -> Array:
    return np.array([row[name] for row in rows], dtype=float)


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return [f"{row['schedule']} {row['sparsity']:.0%}" for row in rows]
