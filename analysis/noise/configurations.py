"""Configurations with several seeds: the spread of their seeds, and outliers among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from analysis.laws.law import Array
from analysis.noise.spread import LEAST_DOF, Spread, squares_of, within
from analysis.tables.data import Runs, Tables
from repro import studies

Kind = Literal["dense", "partner", "sparse"]

# Studies whose runs are off the base recipe on purpose; they tell nothing of its noise.
ELSEWHERE = (studies.ROBUSTNESS, studies.CONTROLS, studies.LEARNING_RATES, studies.POST_TRAINING)
CLOSE = 0.02  # a dense run has the count of a sparse run, when within this share of it
FALSE_ALARM = 0.05  # chance that any configuration of a sweep of one normal noise is said to stand apart
APART_RULE = f"""
A configuration stands apart when one of its seeds lies too far from its mean, or when its variance is too large, measured by
the pooled variance of all other configurations: Student's t for each seed, Bonferroni over all seeds, and an F test, Bonferroni
over configurations, each at {FALSE_ALARM / 2:.1%} for the whole sweep. The one that stands farthest apart then leaves the pool and the rest are
tested again, until none does. So where the noise is normal and the same everywhere, {FALSE_ALARM:.0%} of sweeps hold a false alarm.
""".strip().replace("\n", " ")


@dataclass(frozen=True)
class Configuration:
    """Runs that differ in their seed alone.

    Attributes:
        runs: one a seed, in the order of the seeds.
        kind: a partner is dense and has the average count of a sparse run of equal steps and batch.
        base: label of the size; of a partner, that of the sparse run's.
        apart: in what it stands apart from all others (see APART_RULE); None where it doesn't.
    """

    runs: Runs
    kind: Kind
    base: str
    apart: str | None = None

    @property
    def losses(self) -> Array:
        """Held-out losses in nats per token, a seed each."""
        return self.runs["loss"]

    @property
    def dof(self) -> int:
        return len(self.runs) - 1

    @property
    def squares(self) -> float:
        """Sum of squared deviations from the mean."""
        return squares_of(self.losses)

    @property
    def spread(self) -> Spread | None:
        """The sd over its seeds; its interval is wide. None of one or two seeds, or of seeds that end at one loss."""
        return pooled([self])

    @property
    def sparsity(self) -> float:
        return float(self.runs["sparsity"][0])


def base_runs(tables: Tables) -> Runs:
    """Usable runs with the sweep's base settings: all that belong to a study outside ELSEWHERE."""
    return tables.selected(lambda r: np.array([bool(set(own) - set(ELSEWHERE)) for own in r["studies"]], dtype=bool))


def find(runs: Runs) -> list[Configuration]:
    """The configurations of some runs, with any number of seeds; those that stand apart (see APART_RULE) are marked."""
    partners = _partners(runs)
    found = []
    for recipe in dict.fromkeys(runs["recipe"]):
        own = runs.where(np.flatnonzero(runs["recipe"] == recipe))
        own = own.where(np.argsort(own["seed"], kind="stable"))
        size = str(own["size"][0])
        if own["sparsity"][0] > 0:
            found.append(Configuration(own, "sparse", size))
        else:
            found.append(Configuration(own, "partner" if recipe in partners else "dense", partners.get(recipe, size)))
    marks = apart([c.losses for c in found])
    return [replace(c, apart=_said(c, *marks[i])) if i in marks else c for i, c in enumerate(found)]


def _partners(runs: Runs) -> dict[str, str]:
    """By recipe of each dense partner, the size of the sparse run whose average count it has."""
    sparse, found = list(runs.where(runs.sparse).rows()), {}
    for dense in runs.where(~runs.sparse).rows():
        for row in sparse:
            unprunable = row["N_total"] - row["N_prunable"]
            off = dense["N_prunable"] / row["N_avg"] - 1, dense["N_total"] / (row["N_avg"] + unprunable) - 1
            if all(dense[k] == row[k] for k in ("total_steps", "batch_tokens")) and min(map(abs, off)) < CLOSE:
                found[dense["recipe"]] = str(row["size"])
                break
    return found


def pooled(configurations: Sequence[Configuration]) -> Spread | None:
    """The seeds' sd within these configurations; None where they don't tell it (see `why_no_spread`)."""
    found = within([c.losses for c in configurations])
    return found if isinstance(found, Spread) else None


def why_no_spread(configurations: Sequence[Configuration]) -> str | None:
    """Why `pooled` has no number, or None."""
    found = within([c.losses for c in configurations])
    return None if isinstance(found, Spread) else found


def _said(configuration: Configuration, test: str, rest: float) -> str:
    if test == "spread":
        own = float(np.sqrt(configuration.squares / configuration.dof))
        return f"its sd is {own / rest:.1f} times that of the other configurations"
    off = configuration.losses - configuration.losses.mean()
    worst = int(np.argmax(np.abs(off)))
    others = np.delete(configuration.losses, worst).mean()
    step = configuration.losses[worst] - others
    seed = f"seed {configuration.runs['seed'][worst]:.0f}" if configuration.dof > 1 else "one of its two seeds"
    return f"{seed} ends {abs(step):.3f} nats {'above' if step > 0 else 'below'} the others"


def apart(losses: Sequence[Array]) -> dict[int, tuple[Literal["seed", "spread"], float]]:
    """Which configurations stand apart (see APART_RULE).

    Args:
        losses: of each configuration, (seeds,).

    Returns:
        By position in `losses`: the test that it fails by more, and the pooled sd of the others then.
    """
    pool = [i for i, own in enumerate(losses) if len(own) > 1]
    tests, seeds = len(pool), sum(len(losses[i]) for i in pool)
    squares = {i: squares_of(losses[i]) for i in pool}
    found: dict[int, tuple[Literal["seed", "spread"], float]] = {}
    while len(pool) > 1:
        worst = min(_tested(pool, losses, squares, tests, seeds), default=None)
        if worst is None or worst[0] >= FALSE_ALARM / 2:
            break
        _, i, test, rest = worst
        found[i] = test, rest
        pool.remove(i)
    return found


def _tested(
    pool: list[int], losses: Sequence[Array], squares: dict[int, float], tests: int, seeds: int
) -> Iterator[tuple[float, int, Literal["seed", "spread"], float]]:
    """Of each configuration and test: probability times the number of tests, position, test, sd of the others."""
    for i in pool:
        others = [j for j in pool if j != i]
        dof = sum(len(losses[j]) - 1 for j in others)
        rest = sum(squares[j] for j in others) / dof
        if dof < LEAST_DOF or rest <= 0:
            continue
        own, sd = len(losses[i]), float(np.sqrt(rest))
        farthest = float(np.abs(losses[i] - losses[i].mean()).max()) / (sd * np.sqrt(1 - 1 / own))
        yield 2 * float(stats.t.sf(farthest, dof)) * seeds, i, "seed", sd
        yield float(stats.f.sf(squares[i] / (own - 1) / rest, own - 1, dof)) * tests, i, "spread", sd
