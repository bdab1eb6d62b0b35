"""The best learning rate of each kind of run, from the tables of a learning-rate study.

Runs that differ in their learning rate and seed alone make one bowl. Its bottom is the vertex of the parabola, in log
lr, through the three mean losses around the least. The interval is a parametric bootstrap's: noise of the seeds is
added to every mean, and the bottom is sought again. A resample whose least loss lies at an edge of the rates tried has
no bottom, and with more of these than a tail holds there is no interval.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.fits.outcome import Interval, percentiles
from analysis.laws.law import Array
from analysis.noise.spread import Spread, known_spread, squares_of
from repro.errors import UserError
from repro.studies import LEARNING_RATES

DRAWS = 4000
# What tells bowls apart: a partner's label says neither its width nor its steps.
ONE_BOWL = (
    "size", "budget", "sparsity", "start", "end", "N_prunable", "total_steps", "dense_tokens", "shape", "mirror", "pieces",
)  # fmt: skip


@dataclass(frozen=True)
class Best:
    """Where the loss of one kind of run is least.

    Attributes:
        size, budget: labels. sparsity: final. start, end: of pruning, shares of compute; None of a dense run.
        n_prunable: prunable weights. tokens_per_param: tokens of the dense run of equal compute, over them.
        lr: the bottom of the bowl, or the least one tried, when it lies at an edge.
        interval: its 95% interval; None with `no_interval`, which says why.
        loss: the least held-out loss measured, nats/token, a mean over seeds.
        tried: how many rates. seeds: the most runs of one rate.
        unusable: how many runs have no finite loss, and count for nothing.
        at_edge: whether the least loss lies at the smallest or largest rate tried: then the best is not known.
        draws: resamples of log lr (DRAWS,), infinite at an edge; None where the noise is unknown.
    """

    size: str
    budget: str
    sparsity: float
    start: float | None
    end: float | None
    n_prunable: float
    tokens_per_param: float
    lr: float
    interval: Interval | None
    no_interval: str | None
    loss: float
    tried: int
    seeds: int
    unusable: int
    at_edge: bool
    draws: Array | None

    @property
    def known(self) -> bool:
        """Whether the bottom lies inside the learning rates tried, in most resamples too."""
        return not self.at_edge and (self.draws is None or percentiles(self.draws) is not None)


@dataclass(frozen=True)
class BestRates:
    """All bowls of a study, in the table's order, and the noise of the seeds around their bottoms (None with `reason`)."""

    best: tuple[Best, ...]
    noise: Spread | None
    reason: str | None


@dataclass(frozen=True)
class _Bowl:
    """Mean losses (K,) at rates (K,), logarithms in rising order; runs behind each, and squared deviations of each."""

    rates: Array
    means: Array
    counts: Array
    squares: Array

    @property
    def around(self) -> slice:
        """The three points around the least, or fewer at an edge."""
        at = int(np.argmin(self.means))
        return slice(max(0, at - 1), at + 2)


def find(runs: pa.Table, *, seed: int = 0) -> BestRates:
    """The bowls of the runs that serve a learning-rate study.

    Raises:
        UserError: no run of such a study, or none of one bowl with a finite loss.
    """
    chosen = runs.filter(
        pa.array([LEARNING_RATES in (studies or ()) for studies in runs["studies"].to_pylist()], pa.bool_())
    )
    if not len(chosen):
        studies = sorted({study for own in runs["studies"].to_pylist() for study in own or ()})
        raise UserError(
            "no learning-rate study in this sweep", key="studies",
            found=", ".join(studies) or "no runs", expected=f"runs of a study `{LEARNING_RATES}`, as sweeps/lr.yaml has them",
        )  # fmt: skip
    found: dict[tuple[Any, ...], dict[float, list[float]]] = {}
    unusable: Counter[tuple[Any, ...]] = Counter()
    for row in chosen.select([*ONE_BOWL, "lr", "loss"]).to_pylist():
        key, lr, loss = tuple(row[name] for name in ONE_BOWL), row["lr"], row["loss"]
        rates = found.setdefault(key, {})
        if all(value is not None and math.isfinite(value) and value > 0 for value in (lr, loss)):
            rates.setdefault(lr, []).append(loss)
        else:
            unusable[key] += 1
    for key, rates in found.items():
        if not rates:
            raise UserError(
                "no run with a finite loss", key=f"{key[0]} {key[1]}", found=f"{unusable[key]} without one",
                expected="at least one learning rate that doesn't diverge",
            )  # fmt: skip
    bowls = {key: _bowl(rates) for key, rates in found.items()}
    noise = _noise(list(bowls.values()))
    spread, rng = noise if isinstance(noise, Spread) else None, np.random.default_rng(seed)
    best = tuple(_best(key, bowl, unusable[key], spread, rng) for key, bowl in bowls.items())
    return BestRates(best, spread, None if spread else str(noise))


def _bowl(rates: dict[float, list[float]]) -> _Bowl:
    rows = [(math.log(lr), np.array(losses)) for lr, losses in sorted(rates.items())]
    return _Bowl(
        np.array([lr for lr, _ in rows]),
        np.array([losses.mean() for _, losses in rows]),
        np.array([len(losses) for _, losses in rows], dtype=float),
        np.array([squares_of(losses) for _, losses in rows]),
    )


def _noise(bowls: list[_Bowl]) -> Spread | str:
    """The noise of the seeds, pooled over the points around each least one: far from it runs are noisier."""
    parts = [(bowl.squares[bowl.around], bowl.counts[bowl.around] - 1) for bowl in bowls]
    squares, dof = (float(sum(part[i].sum() for part in parts)) for i in (0, 1))
    level = max(float(bowl.means.max()) for bowl in bowls)
    return known_spread(squares, int(dof), sum(int((counts > 0).sum()) for _, counts in parts), level)


def _best(key: tuple[Any, ...], bowl: _Bowl, unusable: int, noise: Spread | None, rng: np.random.Generator) -> Best:
    size, budget, sparsity, start, end, n_prunable, _, tokens, *_ = key
    at = int(np.argmin(bowl.means))
    edge = at in (0, len(bowl.means) - 1)
    draws = None
    if noise is not None:
        added = noise.draws((DRAWS, len(bowl.means)), rng) / np.sqrt(bowl.counts)
        draws = _bottoms(bowl.rates, bowl.means + added)
    ends = None if edge else percentiles(draws)
    reason = None
    if edge:
        reason = "the least loss lies at an edge of the rates tried"
    elif draws is None:
        reason = "the seeds' noise is unknown"
    elif ends is None:
        reason = f"in {np.mean(~np.isfinite(draws)):.0%} of the resamples the least loss lies at an edge"
    bottom = float(_bottoms(bowl.rates, bowl.means[None])[0])
    return Best(
        size=size,
        budget=budget,
        sparsity=float(sparsity),
        start=start,
        end=end,
        n_prunable=float(n_prunable),
        tokens_per_param=tokens / n_prunable,
        lr=math.exp(bowl.rates[at] if edge else bottom),
        interval=(math.exp(ends[0]), math.exp(ends[1])) if ends else None,
        no_interval=reason,
        loss=float(bowl.means[at]),
        tried=len(bowl.means),
        seeds=int(bowl.counts.max()),
        unusable=unusable,
        at_edge=edge,
        draws=draws,
    )


def finite(draws: Array | None) -> Array:
    """The draws, with the few at an edge at the farthest finite one on their side."""
    assert draws is not None
    inside = draws[np.isfinite(draws)]
    return np.clip(draws, inside.min(), inside.max())


def said(ends: Interval | None) -> str:
    """An interval behind its value."""
    return f" [{ends[0]:.3g}, {ends[1]:.3g}]" if ends else " (no interval)"


def _bottoms(x: Array, losses: Array) -> Array:
    """The bottom (R,) of bowls of losses (R, K) over log rates x (K,); -inf and inf where the least is at an edge."""
    at, last = np.argmin(losses, axis=1), len(x) - 1
    found = np.where(at == 0, -np.inf, np.inf)
    inner = np.flatnonzero((at > 0) & (at < last))
    middle = at[inner]
    below, above = x[middle] - x[middle - 1], x[middle] - x[middle + 1]
    left, right = (losses[inner, middle] - losses[inner, middle + side] for side in (-1, 1))
    over, under = below**2 * right - above**2 * left, below * right - above * left
    found[inner] = x[middle] - np.where(
        under == 0, 0.0, over / np.where(under == 0, 1.0, 2 * under)
    )  # flat: the middle
    return found
