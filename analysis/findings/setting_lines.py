"""Learning rate and batch varied one at a time: the lines of the robustness study, and what each setting costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.laws.law import Array
from analysis.tables.data import Mask, Runs, Tables
from repro import studies

CURVATURE = 0.03  # nats for a factor of two, squared in its logarithm: what tuned settings are usually worth
Factor = Literal["lr", "batch_tokens"]
NAMES: dict[Factor, str] = {"lr": "learning rate", "batch_tokens": "batch"}


@dataclass(frozen=True)
class Line:
    """One factor varied around the centre at one sparsity: settings (n,) rising, with the runs in that order."""

    factor: Factor
    sparsity: float
    runs: Runs

    @property
    def settings(self) -> Array:
        return self.runs[self.factor]

    @property
    def best(self) -> int:
        return int(np.argmin(self.runs["loss"]))

    @property
    def at_edge(self) -> bool:
        return self.best in (0, len(self.runs) - 1)


def lines(tables: Tables) -> Iterator[Line]:
    """The robustness study, cut into lines of at least three settings."""
    runs = tables.selected(_serving)
    for sparsity in sorted(set(runs["sparsity"])):
        own = runs.where(runs["sparsity"] == sparsity)
        # The centre is in both lines, every other setting in one: so it has the value that occurs most.
        centre = {factor: most_used(own[factor]) for factor in NAMES}
        for factor in NAMES:
            (other,) = NAMES.keys() - {factor}
            line = own.where(np.isclose(own[other], centre[other]))
            if len(line) >= 3:
                yield Line(factor, float(sparsity), line.where(np.argsort(line[factor])))


def _serving(runs: Runs) -> Mask:
    return runs.serves(studies.ROBUSTNESS) & runs.first_seed


def most_used(values: Array) -> float:
    levels, counts = np.unique(values, return_counts=True)
    return float(levels[np.argmax(counts)])


def alike(line: Line, dense: Line) -> bool:
    """Whether both were tried at the same settings."""
    return len(line.runs) == len(dense.runs) and bool(np.allclose(line.settings, dense.settings))


def settings_cost(tables: Tables) -> Array:
    """Nats (n,) that each run of `tables.runs` loses by its learning rate or batch: what the dense runs of this study lost.

    Of runs that haven't been trained, a parabola in the logarithm stands for it.
    """
    cost = np.zeros(len(tables.runs))
    found = list(lines(tables))
    dense = {line.factor: line for line in found if line.sparsity == 0}
    at = {run_id: i for i, run_id in enumerate(tables.runs["run_id"])}
    for line in found:
        if (base := dense.get(line.factor)) is None or not alike(line, base):
            continue
        centre = int(np.argmin(np.abs(base.settings - most_used(tables.selected(_serving)[line.factor]))))
        lost = base.runs["loss"] - base.runs["loss"][centre]
        if not np.isfinite(lost).all():
            lost = CURVATURE * np.log2(base.settings / base.settings[centre]) ** 2
        for run_id, nats in zip(line.runs["run_id"], lost, strict=True):
            cost[at[run_id]] += nats
    return cost
