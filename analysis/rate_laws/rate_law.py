"""How the best learning rate depends on density: log lr* = a + b log(1 - final sparsity), a for each size and budget.

Bowls, the curves of the loss over learning rates, weigh by the inverse variance of their bottoms; those whose bottom is
unknown, at an edge, stay out and are named. The interval of b holds the noise of the seeds (the bottoms' own resamples), widened by the Birge ratio where the bottoms lie
farther from the line than that noise explains, as where windows or sizes differ in b.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.fits.outcome import Interval, percentiles
from analysis.laws.law import Array
from analysis.rate_laws import size_law
from analysis.rate_laws.learning_rates import Best, BestRates, finite, said
from analysis.shown import plain, plain_json
from analysis.tables.schedules import schedule_name

FORMULA = "log lr* = a + b·log(1 − final sparsity), one a for each size and budget"


@dataclass(frozen=True)
class DensitySlope:
    """The line through the bottoms.

    Attributes:
        value: b; None with `reason`.
        interval: its 95% interval.
        scatter: Birge ratio, distance from the line over what noise explains; None where no degree of freedom is left.
        used: bowls. left_out: those at an edge, named.
    """

    value: float | None
    interval: Interval | None
    scatter: float | None
    used: int
    left_out: tuple[str, ...]
    reason: str | None = None


@dataclass(frozen=True)
class Multiple:
    """lr* over that of the dense run of equal size and budget, at one sparsity: geometric mean over bowls."""

    sparsity: float
    multiple: float
    interval: Interval | None
    bowls: int


def name(best: Best) -> str:
    """Size, budget, and of a sparse run its sparsity and window."""
    if best.sparsity == 0 or best.start is None or best.end is None:
        return f"{best.size} {best.budget}"
    return f"{best.size} {best.budget} {best.sparsity:.0%} {schedule_name(best.start, best.end)}"


def slope(rates: BestRates) -> DensitySlope:
    """Fits the line to the bottoms that are known."""
    known = [b for b in rates.best if b.known]
    usable = [b for b in known if _shares(b, known)]
    left_out = tuple(name(b) for b in rates.best if not b.known and _shares(b, rates.best))
    if rates.noise is None:
        return DensitySlope(None, None, None, 0, left_out, rates.reason)
    if not usable:
        return DensitySlope(None, None, None, 0, left_out, "no size and budget has known best rates at two densities")
    labels = sorted({(b.size, b.budget) for b in usable})
    design = np.array(
        [[math.log(1 - b.sparsity), *(float((b.size, b.budget) == label) for label in labels)] for b in usable]
    )
    draws = np.array([finite(b.draws) for b in usable])
    best, weight = np.array([math.log(b.lr) for b in usable]), 1 / draws.std(axis=1)
    inverse = np.linalg.pinv(design * weight[:, None]) * weight
    solution = inverse @ best
    dof = len(usable) - design.shape[1]
    scatter = float(np.sqrt(np.sum((weight * (best - design @ solution)) ** 2) / dof)) if dof else None
    spread = inverse @ (draws - draws.mean(axis=1, keepdims=True))
    drawn = solution[:, None] + max(1.0, scatter or 0.0) * spread
    return DensitySlope(float(solution[0]), percentiles(drawn[0]), scatter, len(usable), left_out)


def multiples(rates: BestRates) -> Iterator[Multiple]:
    """Of each sparsity, over the bowls that are known and have a known dense one."""
    dense = {(b.size, b.budget): b for b in rates.best if b.sparsity == 0}
    found: dict[float, list[tuple[float, Array | None]]] = defaultdict(list)
    for own in rates.best:
        beside = dense.get((own.size, own.budget))
        if own.sparsity > 0 and beside is not None and own.known and beside.known:
            drawn = None if rates.noise is None else finite(own.draws) - finite(beside.draws)
            found[own.sparsity].append((math.log(own.lr / beside.lr), drawn))
    for sparsity, members in sorted(found.items()):
        differences = [d for _, d in members if d is not None]
        ends = percentiles(np.mean(differences, axis=0)) if differences else None
        yield Multiple(
            sparsity,
            math.exp(np.mean([value for value, _ in members])),
            (math.exp(ends[0]), math.exp(ends[1])) if ends else None,
            len(members),
        )


def _shares(best: Best, others: Sequence[Best]) -> bool:
    """Whether there are bowls at other densities of its size and budget."""
    return any((b.size, b.budget) == (best.size, best.budget) and b.sparsity != best.sparsity for b in others)


def as_json(rates: BestRates) -> dict[str, Any]:
    """Bowls, the line and the multiples as plain JSON."""
    spread = rates.noise
    found = {
        "best": [{k: v for k, v in vars(b).items() if k != "draws"} | {"name": name(b)} for b in rates.best],
        "noise": None if spread is None else {key: getattr(spread, key) for key in ("sd", "low", "high", "dof")},
        "no_noise": rates.reason,
        "exponents": size_law.as_json(rates),
        "slope": {"formula": FORMULA} | vars(slope(rates)),
        "multiples": [vars(own) for own in multiples(rates)],
    }
    return dict(plain_json(found))


def lines(rates: BestRates) -> Iterator[str]:
    """The same as text."""
    for best in rates.best:
        ends = f" [{best.interval[0]:.2g}, {best.interval[1]:.2g}]" if best.interval else ""
        notes = ["at the edge of the rates tried: the best may lie beyond"] if best.at_edge else []
        if rates.noise is not None and best.interval is None and not best.at_edge:
            notes.append(f"no interval: {best.no_interval}")
        if best.unusable:
            notes.append(f"{best.unusable} more without a finite loss")
        note = f"  # {', '.join(notes)}" if notes else ""
        yield f"{name(best)}: lr {best.lr:.2g}{ends}, loss {best.loss:.4f}, {best.tried} rates{note}"
    yield from size_law.lines(rates)
    if all(best.sparsity == 0 for best in rates.best):
        return
    for own in multiples(rates):
        over = f"{own.bowls} bowl{'s' if own.bowls > 1 else ''}"
        yield f"lr* at {own.sparsity:.0%} over the dense run's: {own.multiple:.3g}{said(own.interval)}, {over}"
    line = slope(rates)
    if line.value is None:
        yield f"no slope of lr* in density: {line.reason}"
    else:
        scatter = (
            ""
            if line.scatter is None
            else f"; bottoms lie {plain(line.scatter)} times as far from the line as noise explains"
        )
        yield f"{FORMULA}: b {line.value:.3g}{said(line.interval)} from {line.used} bowls{scatter}"
    if line.left_out:
        yield f"left out of it, their best not known: {', '.join(line.left_out)}"
