"""The best learning rate and batch of each budget: the bottom of a quadratic in log lr x log batch, fitted to its best runs.

Far from its bottom a bowl is no quadratic but steeper at high rates, which would draw the bottom aside, so only settings take
part whose loss is near the least. The bottom is sought
within the settings tried: where it lies at the smallest or largest rate or batch, the best is not known, and is said to lie
at an edge. Draws add noise of the seeds, widened where losses lie farther from the quadratic than it explains; without
several seeds the noise is that distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.fits.outcome import Interval, percentiles
from analysis.laws.law import Array
from analysis.noise import budget_noise
from analysis.noise.budget_noise import BudgetNoise
from analysis.tables.budgets import Budgets

AXES = ("lr", "batch")
NEAR = 0.02  # share of the least loss by which a setting may be over it and still take part
AT_EDGE = "the least loss lies at the {} tried: the best may lie beyond"
MOST = 0.5  # share of the draws that lie inside where the best of a cell counts as known
LEAST_VALUES = 3  # of an axis, for a quadratic


@dataclass(frozen=True)
class Optimum:
    """The best value of one axis in one cell.

    Attributes:
        value: or the smallest or largest tried, where the bottom lies at that `edge`.
        interval: 95%; None with `no_interval`, which says why.
        draws: of its logarithm, (R,), infinite at an edge; None where the noise is unknown.
    """

    value: float
    interval: Interval | None
    edge: str | None
    no_interval: str | None
    draws: Array | None

    @property
    def known(self) -> bool:
        """Whether the best value lies inside those tried, in most draws too."""
        return self.edge is None and (self.draws is None or bool(np.isfinite(self.draws).mean() >= MOST))


@dataclass(frozen=True)
class RateCell:
    """One budget.

    Attributes:
        budget: its place among the budgets.
        settings: rates and batches tried together; used: those near the least loss.
        loss: at the bottom, by the quadratic; None where there is none.
        optimum: by axis; empty with `reason`.
    """

    budget: int
    runs: int
    settings: int
    used: int
    loss: float | None
    optimum: Mapping[str, Optimum]
    reason: str | None


@dataclass(frozen=True)
class RateSurfaces:
    """All cells of a table, in rising order of compute; the noise is None with a reason."""

    budgets: Budgets
    cells: tuple[RateCell, ...]
    noise: BudgetNoise | None
    reason: str | None


@dataclass(frozen=True)
class _Quadratic:
    """A cell's fit: terms (K, P) of the settings used, what solves them (P, K), coefficients (P,), and what noise is measured from."""

    axes: tuple[str, ...]
    centre: Array  # of the logs of the settings, from which all else is counted, (axes,)
    box: Array  # lowest and highest of each axis tried, (axes, 2)
    runs: Array
    inverse: Array
    solution: Array
    seeds: tuple[float, int, int]  # squared deviations from the means, degrees of freedom, settings with several runs
    left: tuple[float, int]  # squared distance of the means from the quadratic, by runs, and degrees of freedom
    level: float


def find(
    columns: Mapping[str, Array],
    loss: Array,
    budgets: Budgets,
    *,
    sigma: float | None,
    resamples: int,
    rng: np.random.Generator,
    near: float = NEAR,
) -> RateSurfaces:
    """The cells of a table.

    Args:
        columns: lr, and batch where there is one, (n,), positive. loss: (n,) nats.
        sigma: a run's standard deviation in nats, where it is known.
        near: share of the least loss by which a setting may be over it and still take part.
    """
    names = tuple(name for name in AXES if name in columns)
    logs = np.column_stack([np.log(columns[name]) for name in names])
    runs = np.bincount(budgets.member)
    made = [_quadratic(names, logs[budgets.member == b], loss[budgets.member == b], near) for b in range(len(budgets))]
    fits = {b: one for b, (one, _) in enumerate(made) if isinstance(one, _Quadratic)}
    noise, scatters = _noise(list(fits.values()), sigma)
    where = {b: i for i, b in enumerate(fits)}
    cells = []
    for b, (one, settings) in enumerate(made):
        if isinstance(one, str):
            cells.append(RateCell(b, int(runs[b]), settings, 0, None, {}, one))
            continue
        drawn = None
        if isinstance(noise, BudgetNoise):
            sd = noise.draws(resamples, rng)[:, [where[b]]] * scatters[where[b]] / np.sqrt(one.runs)
            drawn = bottoms(one.solution + (sd * rng.standard_normal(sd.shape)) @ one.inverse.T, one.box)[0]
        place, least = bottoms(one.solution[None], one.box)
        optimum = {
            name: _optimum(place[0, i], one.box[i], one.centre[i], None if drawn is None else drawn[:, i], noise)
            for i, name in enumerate(one.axes)
        }
        cells.append(RateCell(b, int(runs[b]), settings, len(one.runs), float(least[0]), optimum, None))
    known, reason = (None, noise) if isinstance(noise, str) else (noise, None)
    return RateSurfaces(budgets, tuple(cells), known, reason)


def _quadratic(names: tuple[str, ...], logs: Array, loss: Array, near: float) -> tuple[_Quadratic | str, int]:
    """A cell's fit or why there is none, and its settings."""
    places, member = np.unique(np.round(logs, 6), axis=0, return_inverse=True)
    runs = np.bincount(member).astype(float)
    mean = np.bincount(member, weights=loss) / runs
    squares = np.bincount(member, weights=(loss - mean[member]) ** 2)
    counts = [len(np.unique(column)) for column in places.T]
    for name, count in zip(names, counts, strict=True):
        if 1 < count < LEAST_VALUES:
            return f"{name} takes {count} values, a quadratic needs {LEAST_VALUES}", len(mean)
    at = [i for i, count in enumerate(counts) if count > 1]
    if not at:
        return "one setting alone was tried", len(mean)
    axes, x = tuple(names[i] for i in at), places[:, at]
    centre, order = x.mean(axis=0), np.argsort(mean)
    terms = _terms(x - centre)
    for used in range(max(terms.shape[1], int(np.sum(mean <= (1 + near) * mean.min()))), len(mean) + 1):
        chosen = order[:used]
        if np.linalg.matrix_rank(terms[chosen]) == terms.shape[1]:
            break
    else:
        return f"{len(mean)} settings are too few for a quadratic of {terms.shape[1]} terms", len(mean)
    root = np.sqrt(runs[chosen])
    inverse = np.linalg.pinv(terms[chosen] * root[:, None]) * root
    solution = inverse @ mean[chosen]
    off = float(np.sum(runs[chosen] * (mean[chosen] - terms[chosen] @ solution) ** 2))
    seeds = float(squares[chosen].sum()), int((runs[chosen] - 1).sum()), int((runs[chosen] > 1).sum())
    box = np.column_stack([x.min(axis=0), x.max(axis=0)]) - centre[:, None]
    left, level = (off, used - terms.shape[1]), float(mean[chosen].max())
    return _Quadratic(axes, centre, box, runs[chosen], inverse, solution, seeds, left, level), len(mean)


def _terms(x: Array) -> Array:
    """1, each axis, each square, and the product of two, (K, P) of (K, axes)."""
    parts = [np.ones(len(x)), *x.T, *(x.T**2)]
    return np.column_stack([*parts, x[:, 0] * x[:, 1]] if x.shape[1] == 2 else parts)


def bottoms(solution: Array, box: Array) -> tuple[Array, Array]:
    """Where quadratics of coefficients (R, P) are least within a box (axes, 2): the places (R, axes), and their values (R,).

    The least lies at a vertex inside, at the least of an edge, or in a corner; all are tried.
    """
    if len(box) == 1:
        places = [
            _vertex(solution[:, 1], solution[:, 2], box[0])[:, None],
            *(np.full((len(solution), 1), end) for end in box[0]),
        ]
    else:
        _, x, y, xx, yy, xy = solution.T
        with np.errstate(divide="ignore", invalid="ignore"):
            det = 4 * xx * yy - xy**2
            inner = np.column_stack([xy * y - 2 * yy * x, xy * x - 2 * xx * y]) / det[:, None]
        inside = ((inner >= box[:, 0]) & (inner <= box[:, 1])).all(axis=1)
        places = [np.where(inside[:, None], inner, box[:, 0])]
        for end in box[1]:
            places.append(np.column_stack([_vertex(x + xy * end, xx, box[0]), np.full(len(x), end)]))
            places += [np.tile([corner, end], (len(x), 1)) for corner in box[0]]
        for end in box[0]:
            places.append(np.column_stack([np.full(len(x), end), _vertex(y + xy * end, yy, box[1])]))
    tried = np.array(places)  # (candidates, R, axes)
    values = np.array([np.sum(_terms(place) * solution, axis=1) for place in tried])
    best = np.argmin(values, axis=0)
    rows = np.arange(len(solution))
    return tried[best, rows], values[best, rows]


def _vertex(slope: Array, curvature: Array, ends: Array) -> Array:
    """The bottom of parabolas along one axis, (R,), and the lower end where there is none between the ends."""
    with np.errstate(divide="ignore", invalid="ignore"):
        place = -slope / (2 * curvature)
    return np.where((curvature > 0) & (place > ends[0]) & (place < ends[1]), place, ends[0])


def _noise(fits: list[_Quadratic], sigma: float | None) -> tuple[BudgetNoise | str, list[float]]:
    """A run's noise in each cell, and by how much its losses lie farther from the quadratic, at least 1; or why it isn't known."""
    if not fits:
        return "no budget has a quadratic", []
    squares, dof, groups = (np.array(part) for part in zip(*(one.seeds for one in fits), strict=True))
    off, free = (np.array(part) for part in zip(*(one.left for one in fits), strict=True))
    level = max(one.level for one in fits)
    noise = (
        budget_noise.given(sigma, len(fits)) if sigma else budget_noise.measured(squares, dof, groups, level, "seeds")
    )
    if isinstance(noise, BudgetNoise):
        ratio = np.sqrt(off / np.maximum(free, 1)) / noise.sd
        return noise, np.maximum(1.0, np.where(free > 0, ratio, 1.0)).tolist()
    left = budget_noise.measured(off, free, (free > 0).astype(int), level, "distance from the quadratics")
    if isinstance(left, str):
        return f"{noise}, and the distance from the quadratics measures none either: {left}", []
    return left, [1.0] * len(fits)


def _optimum(place: float, box: Array, centre: float, drawn: Array | None, noise: BudgetNoise | str) -> Optimum:
    edge = "smallest" if place <= box[0] else "largest" if place >= box[1] else None
    value = float(np.exp(centre + place))
    if drawn is None:
        return Optimum(value, None, edge, AT_EDGE.format(edge) if edge else str(noise), None)
    draws = centre + np.where(drawn <= box[0], -np.inf, np.where(drawn >= box[1], np.inf, drawn))
    ends = None if edge else percentiles(draws)
    reason = AT_EDGE.format(edge) if edge else None
    if not edge and ends is None:
        reason = f"in {np.mean(~np.isfinite(draws)):.0%} of the draws it lies at an edge of what was tried"
    interval = None if ends is None else (float(np.exp(ends[0])), float(np.exp(ends[1])))
    return Optimum(value, interval, edge, reason, draws)
