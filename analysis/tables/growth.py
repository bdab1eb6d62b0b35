"""Runs of the study `growth`: a small model for a share of the tokens, and the larger model of each operator for the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.tables.data import Runs, Tables
from repro import studies


@dataclass(frozen=True)
class GrownLife:
    """Runs of one N(t): equal weights before and after, equal tokens before and in all, over their seeds.

    Attributes:
        name: of the small model and its budget.
        operators: runs by operator, one a seed, at the learning rate that most of the life's runs have.
        tried: the same at other learning rates, by operator and multiple. ungrown: the small model trained on as it is.
        scratch: dense runs on all tokens that started from their initialisation.
    """

    name: str
    operators: Mapping[str, Runs]
    tried: Mapping[tuple[str, float], Runs]
    ungrown: Runs
    scratch: Runs

    @property
    def _first(self) -> Runs:
        return next(iter(self.operators.values()))

    @property
    def n(self) -> float:
        """Prunable weights after growth."""
        return float(self._first["N_prunable"][0])

    @property
    def n_avg(self) -> float:
        """Over the whole life."""
        return float(self._first["N_avg_life"][0])

    @property
    def d(self) -> float:
        """Tokens of the whole life."""
        return float(self._first["D_life"][0])


def grown(tables: Tables) -> tuple[GrownLife, ...]:
    """The lives of the study `growth`, by size and tokens."""
    runs = tables.selected(lambda r: r.serves(studies.GROWTH))
    children = runs.where(runs.started)
    larger = children.where(children["surgery_factor"] > 1)
    sizes = dict(zip(runs["run_id"], runs["size"], strict=True))
    keys = list(zip(larger["parent_recipe"], larger["N_prunable"], larger["D_life"], strict=True))
    found = []
    for key in dict.fromkeys(keys):
        own = larger.where(np.array([other == key for other in keys]))
        rates, counts = np.unique(own["lr"], return_counts=True)
        lr = rates[int(np.argmax(counts))]
        groups: dict[tuple[str, float], list[int]] = defaultdict(list)
        for i, run in enumerate(own.rows()):
            groups[run["surgery"], round(float(run["lr"] / lr), 6)].append(i)
        by_rate = {name: own.where(np.array(rows)) for name, rows in groups.items()}
        found.append(
            GrownLife(
                f"{sizes.get(own['parent'][0], own['size'][0])} {own['budget'][0]}",
                {operator: rows for (operator, multiple), rows in by_rate.items() if multiple == 1},
                {name: rows for name, rows in by_rate.items() if name[1] != 1},
                children.where((children["surgery_factor"] == 1) & (children["parent_recipe"] == key[0])),
                runs.where(~runs.started & (runs["D"] == key[2])),
            )
        )
    return tuple(sorted(found, key=lambda life: (life.n, life.d)))
