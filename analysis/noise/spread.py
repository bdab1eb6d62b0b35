"""The noise of the seeds: its standard deviation over runs that differ in their seed alone. Every interval is based on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from analysis.laws.law import Array
from analysis.tables.data import Runs

CONFIDENCE = 0.95
LEAST_DOF = 2  # of one, two runs of one configuration, a standard deviation is anybody's guess
ROUNDING = 1e-6  # share of a loss that single precision explains


@dataclass(frozen=True)
class Spread:
    """A pooled standard deviation.

    Attributes:
        sd: nats per token.
        dof: degrees of freedom.
        groups: configurations it is pooled over.
        low, high: its 95% chi-square interval.
    """

    sd: float
    dof: int
    groups: int
    low: float
    high: float

    @classmethod
    def from_squares(cls, squares: float, dof: int, groups: int) -> Spread:
        """From a sum of squared deviations."""
        tail = (1 - CONFIDENCE) / 2
        low, high = (float(np.sqrt(squares / stats.chi2.ppf(q, dof))) for q in (1 - tail, tail))
        return cls(float(np.sqrt(squares / dof)), dof, groups, low, high)

    def draws(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """Noise in nats. Along the first axis the standard deviation varies too, by its uncertainty at `dof` degrees of freedom."""
        sd = self.guesses(shape[0], rng)
        return rng.standard_normal(shape) * sd.reshape(-1, *([1] * (len(shape) - 1)))

    def guesses(self, size: int, rng: np.random.Generator) -> Array:
        """Draws (size,) of the standard deviation in nats, by its uncertainty at `dof` degrees of freedom."""
        return np.asarray(self.sd * np.sqrt(self.dof / rng.chisquare(self.dof, size=size)))

    def by_run(self, run_ids: Array, size: int, rng: np.random.Generator) -> Array:
        """Noise (size, n) in nats for rows of some runs; all rows of a run share it."""
        _, member = np.unique(run_ids.astype(str), return_inverse=True)
        return self.draws((size, int(member.max()) + 1), rng)[:, member]

    def quantile(self, tail: float) -> float:
        """Student's t with this spread's degrees of freedom, exceeded with probability `tail`."""
        return float(stats.t.ppf(1 - tail, self.dof))


@dataclass(frozen=True)
class Noise:
    """The noise of the seeds. A part is None where fewer than LEAST_DOF degrees of freedom measure it, or where all seeds
    end at one loss: a noise of zero would make every difference a finding.

    Attributes:
        overall: sd of the held-out loss within a configuration, pooled over all.
        by_sparsity: the same, by final sparsity.
        paired: sd of the difference of two configurations of one model size and budget at the same seed.
        missing, missing_paired: why `overall` and `paired` are None, for a sentence.
    """

    overall: Spread | None
    by_sparsity: dict[float, Spread]
    paired: Spread | None
    missing: str = ""
    missing_paired: str = ""

    def no_interval(self, what: str, *, paired: bool = False) -> str:
        """Why `what` has no interval."""
        reason = self.missing_paired if paired else self.missing
        return f"{reason or 'too many resamples have no finite number'}, so {what} has no interval"


def measure(runs: Runs) -> Noise:
    """The noise of the seeds in a runs table."""
    rows = defaultdict(list)
    for i, (recipe, sparsity) in enumerate(zip(runs["recipe"], runs["sparsity"], strict=True)):
        rows[float(sparsity), recipe].append(i)
    groups = {key: runs["loss"][own] for key, own in rows.items()}
    sparsities = sorted({sparsity for sparsity, _ in groups})
    by_sparsity = {s: within([losses for (own, _), losses in groups.items() if own == s]) for s in sparsities}
    known = {s: spread for s, spread in by_sparsity.items() if isinstance(spread, Spread)}
    overall, missing = _or_reason(within(list(groups.values())))
    paired, missing_paired = _or_reason(_paired(runs))
    return Noise(overall, known, paired, missing, missing_paired)


def _or_reason(found: Spread | str) -> tuple[Spread | None, str]:
    return (None, found) if isinstance(found, str) else (found, "")


def within(groups: Sequence[Array]) -> Spread | str:
    """The seeds' standard deviation, pooled over configurations, or why there is none.

    Args:
        groups: losses of each configuration, (seeds,) in nats per token; those of one seed tell nothing.
    """
    several = [losses for losses in groups if len(losses) > 1]
    level = max((float(np.abs(losses).max()) for losses in several), default=0.0)
    dof = sum(len(losses) - 1 for losses in several)
    return known_spread(sum(map(squares_of, several)), dof, len(several), level)


def squares_of(losses: Array) -> float:
    """Sum of squared deviations from the mean of losses (seeds,)."""
    return float(np.sum((losses - losses.mean()) ** 2))


def known_spread(squares: float, dof: int, groups: int, level: float) -> Spread | str:
    """The spread of a sum of squared deviations, or why there is none.

    Args:
        squares, dof, groups: see `Spread.from_squares`.
        level: the largest number behind the deviations, against which a spread may be rounding alone.
    """
    if not dof:
        return "no configuration was run with several seeds"
    if dof < LEAST_DOF:
        return f"too few configurations were run with several seeds ({dof} degree of freedom)"
    if not np.isfinite(squares) or squares <= dof * (ROUNDING * level) ** 2:
        return "the seeds of each configuration end at one loss, so that they measure no noise"
    return Spread.from_squares(squares, dof, groups)


def _paired(runs: Runs) -> Spread | str:
    """What is left of the loss when each configuration and each seed of a (model shape, budget) has its own mean.

    Runs of one shape and seed share initialisation and data order, so part of their noise cancels in a
    difference; the residual sd times the square root of 2 is the sd of that difference.
    """
    families = defaultdict(list)
    for i, row in enumerate(runs.rows()):
        families[row["size"], row["budget"], row["d_model"], row["mlp"], row["layers"]].append(i)
    recipes = runs["recipe"]
    return paired_spread(
        [([recipes[i] for i in own], [runs["seed"][i] for i in own], runs["loss"][own]) for own in families.values()]
    )


def paired_spread(families: Sequence[tuple[Sequence[Any], Sequence[Any], Array]]) -> Spread | str:
    """sd of the difference of two configurations at one seed, or why there is none.

    Args:
        families: of runs that share their noise by seed, the configuration, the seed and the loss of each.
    """
    squares, dof, groups, level = 0.0, 0, 0, 0.0
    for keys, seeds, losses in families:
        chosen = [i for i, key in enumerate(keys) if keys.count(key) > 1]
        if not chosen:
            continue
        own = [keys[i] for i in chosen]
        design = np.hstack([_dummies(own), _dummies([seeds[i] for i in chosen])])
        loss = losses[chosen]
        solution, _, rank, _ = np.linalg.lstsq(design, loss, rcond=None)
        squares += float(np.sum((loss - design @ solution) ** 2))
        dof += len(chosen) - int(rank)
        groups += len(set(own))
        level = max(level, float(np.abs(loss).max()))
    return known_spread(2 * squares, dof, groups, level)


def _dummies(labels: list) -> Array:
    levels = list(dict.fromkeys(labels))
    return np.array([[float(label == level) for level in levels] for label in labels])


def regret_bounds(
    lower: Array, lower_seeds: Array, upper: Array, upper_seeds: Array, spread: Spread | None, level: float
) -> tuple[float | None, float | None]:
    """One-sided bounds of how much worse one run is than the best of its rivals, nats.

    Args:
        lower, upper: mean differences, own loss less a rival's, that enter the lower and the upper bound.
        lower_seeds, upper_seeds: seeds behind each.
        spread: of one difference; None leaves both bounds out.
        level: probability outside each bound. The lower one is also corrected for the number of rivals, while the
            upper one, a maximum over rivals, needs no correction for them.
    """
    if spread is None or not (np.isfinite(lower).all() and np.isfinite(upper).all()):
        return None, None
    low = np.max(lower - spread.quantile(level / len(lower)) * spread.sd / np.sqrt(lower_seeds))
    high = np.max(upper + spread.quantile(level) * spread.sd / np.sqrt(upper_seeds))
    return max(0.0, float(low)), max(0.0, float(high))
