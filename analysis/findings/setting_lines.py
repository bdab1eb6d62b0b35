"""Learning rate and batch varied one at a time: the lines of the study `robustness`, and the loss that each setting costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.laws.law import Array
from analysis.tables.data import Runs, Tables
from analysis.tables.mirrored import mirrored_sets
from repro import studies

Factor = Literal["lr", "batch_tokens"]
NAMES: dict[Factor, str] = {"lr": "learning rate", "batch_tokens": "batch"}


@dataclass(frozen=True)
class Line:
    """One factor varied around the centre at one sparsity: settings (n,) rising.

    Attributes:
        runs: one of each setting, its least seed. by_seed: losses in nats per token of each, by seed.
    """

    factor: Factor
    sparsity: float
    runs: Runs
    by_seed: tuple[Mapping[int, float], ...]

    @property
    def settings(self) -> Array:
        return self.runs[self.factor]

    @property
    def losses(self) -> Array:
        """Of each setting (n,) the mean over its seeds, nats per token."""
        return np.array([np.mean(list(own.values())) for own in self.by_seed])

    @property
    def seeds(self) -> Array:
        """How many each setting has, (n,)."""
        return np.array([len(own) for own in self.by_seed])

    @property
    def names(self) -> list[str]:
        """Of each setting (n,) the id of its run, and how many more there are."""
        more = (f" and {count - 1} more seed{'s' if count > 2 else ''}" if count > 1 else "" for count in self.seeds)
        return [f"{run_id}{text}" for run_id, text in zip(self.runs["run_id"], more, strict=True)]

    @property
    def best(self) -> int:
        return int(np.argmin(self.losses))

    @property
    def at_edge(self) -> bool:
        return self.best in (0, len(self.runs) - 1)


def lines(tables: Tables) -> Iterator[Line]:
    """The configurations of the robustness study with all their seeds, cut into lines of at least three settings."""
    runs, by_seed = _configurations(tables), tables.runs.losses_by_seed
    for sparsity in sorted(set(runs["sparsity"])):
        own = runs.where(runs["sparsity"] == sparsity)
        # The centre is in both lines, every other setting in one: so it has the value that occurs most.
        centre = {factor: most_used(own[factor]) for factor in NAMES}
        for factor in NAMES:
            (other,) = NAMES.keys() - {factor}
            line = own.where(np.isclose(own[other], centre[other]))
            if len(line) >= 3:
                line = line.where(np.argsort(line[factor]))
                yield Line(factor, float(sparsity), line, tuple(by_seed[recipe] for recipe in line["recipe"]))


def _configurations(tables: Tables) -> Runs:
    """One run of each configuration that serves the study: its least seed, whatever study that one serves."""
    of_study = set(tables.selected(lambda r: r.serves(studies.ROBUSTNESS))["recipe"])
    first: dict[str, int] = {}
    for i, (recipe, seed) in enumerate(zip(tables.runs["recipe"], tables.runs["seed"], strict=True)):
        if recipe in of_study and (recipe not in first or seed < tables.runs["seed"][first[recipe]]):
            first[recipe] = i
    return tables.runs.where(np.array(sorted(first.values()), dtype=int))


def most_used(values: Array) -> float:
    levels, counts = np.unique(values, return_counts=True)
    return float(levels[np.argmax(counts)])


def alike(line: Line, dense: Line) -> bool:
    """Whether both were tried at the same settings."""
    return len(line.runs) == len(dense.runs) and bool(np.allclose(line.settings, dense.settings))


def settings_cost(tables: Tables) -> Array:
    """Loss (n,) in nats that each run's learning rate or batch costs: the average over the dense runs of this study.

    Of runs that haven't been trained, a parabola in the logarithm stands for it. In mirrored sets each kind loses what its
    own runs lost (`costs`).
    """
    cost: dict[str, float] = defaultdict(float, costs(tables))
    found, tried = list(lines(tables)), _configurations(tables)
    dense = {line.factor: line for line in found if line.sparsity == 0}
    for line in found:
        if (base := dense.get(line.factor)) is None or not alike(line, base):
            continue
        centre = int(np.argmin(np.abs(base.settings - most_used(tried[line.factor]))))
        lost = base.losses - base.losses[centre]
        if not np.isfinite(lost).all():
            lost = CURVATURE * np.log2(base.settings / base.settings[centre]) ** 2
        for recipe, nats in zip(line.runs["recipe"], lost, strict=True):
            cost[recipe] += float(nats)
    return np.array([cost.get(recipe, 0.0) for recipe in tables.runs["recipe"]])


CURVATURE = 0.03  # nats for a factor of two, squared in its logarithm: what tuned settings are usually worth


def costs(tables: Tables) -> dict[str, float]:
    """Loss that each configuration's own learning rate costs over the set's, nats, for configurations tried at several; by recipe hash.

    For each kind a parabola in log lr through the measured mean losses says so. Simulated sweeps need it: if all learning rates
    gave the same loss, the best of a kind would often be at an edge by chance.
    """
    found: dict[str, float] = {}
    for own in mirrored_sets(tables):
        for kind in own.members:
            tries = own.tries(kind)
            lost = _parabola(tries) if len(tries) > 1 else {}
            found |= {str(tries[multiple]["recipe"][0]): nats for multiple, nats in lost.items()}
    return found


def _parabola(tries: Mapping[float, Runs]) -> dict[float, float]:
    """By multiple, less that of the set's rate: by least squares, seeds counting; of runs that haven't been trained as CURVATURE says."""
    way = np.log2([*tries])
    means, seeds = (np.array([f(runs["loss"]) for runs in tries.values()], dtype=float) for f in (np.mean, len))
    if np.isfinite(means).all():
        terms = np.polyfit(way, means, min(2, len(way) - 1), w=np.sqrt(seeds))
    else:
        terms = np.array([CURVATURE, 0.0, 0.0])
    lost = np.polyval(terms, way) - np.polyval(terms, 0.0)
    return dict(zip(tries, lost.tolist(), strict=True))
