"""At which fraction of compute one recipe reaches another's loss, by both recipes' laws.

Along a budget's own ratio of tokens to parameters. A recipe whose law never comes down to that loss reaches it at no
compute: such draws count as infinite, and an interval may have no upper end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fits.outcome import LEVEL, percentiles
from analysis.laws.law import Array, Columns, Law
from analysis.recipe_laws.recipe_curves import RecipeCurve, RecipeCurves
from analysis.tables.budgets import beyond, scaled

FARTHEST = 1e6  # times more or less compute, beyond which none is looked for
HALVINGS = 60
PLACES = 65  # budgets at which a crossing of two laws is looked for


@dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval; an end without a number is open, and all of it is None where nothing is known."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Crossing:
    """Training FLOP at which two laws cross, and its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ComputeFraction:
    """The compute that one recipe needs for the reference's loss at one budget.

    Attributes:
        at: the reference's budget. loss: the reference's there, by its law.
        fraction: of the reference's compute; the value is None where the recipe never gets there.
        never: share of the draws in which it never does.
        extrapolated: what lies beyond runs: the budget, or the compute that the recipe needs; None where nothing does.
    """

    at: dict[str, float]
    loss: float
    fraction: Estimate
    never: float
    extrapolated: str | None


@dataclass(frozen=True)
class AgainstReference:
    """One recipe beside the reference.

    Attributes:
        name: the recipe's.
        fractions: at each budget of the reference, and beyond.
        overall: geometric mean of the fractions at the budgets of the reference.
        change: the fraction at its largest budget over that at its smallest.
        crossing: training FLOP at which the laws cross; None where draws don't agree that they do, between the smallest budget
            and the farthest.
        crossing_beyond: how far beyond the budgets that is.
        order: what the intervals show of the order of losses.
    """

    name: str
    fractions: tuple[ComputeFraction, ...]
    overall: Estimate
    change: Estimate
    crossing: Crossing | None
    crossing_beyond: str | None
    order: str


def against(found: RecipeCurves, reference: str, times: Sequence[float]) -> Iterator[AgainstReference]:
    """Every other recipe beside the reference.

    Args:
        times: multiples of the reference's largest budget at which its law is extrapolated.
    """
    for own in found.curves:
        if own.name != reference:
            yield _against(found, own, found[reference], sorted(times))


def _against(found: RecipeCurves, own: RecipeCurve, other: RecipeCurve, times: Sequence[float]) -> AgainstReference:
    law, budgets = found.law, found.budgets
    tried = [(int(b), 1.0) for b in other.means.budgets]
    places = [*tried, *((tried[-1][0], t) for t in times)]
    logs, drawn, fractions = [], [], []
    for budget, far in places:
        value, draws, fraction = _fraction(found, own, other, budget, far)
        fractions.append(fraction)
        logs.append(value)
        drawn.append(draws)
    inside, draws_inside = logs[: len(tried)], None if own.theta is None else np.array(drawn[: len(tried)])
    with np.errstate(invalid="ignore"):  # between draws that never get there
        overall = _estimate(float(np.mean(inside)), None if draws_inside is None else draws_inside.mean(axis=0))
        change = _estimate(inside[-1] - inside[0], None if draws_inside is None else draws_inside[-1] - draws_inside[0])
    flops = budgets.columns["C"][other.means.budgets]
    crossing = _crossing(law, own, other, budgets.point(tried[-1][0]), float(flops[0]), max(times, default=1.0))
    return AgainstReference(
        own.name, tuple(fractions), overall, change, crossing, None if crossing is None else beyond(crossing.value, flops),
        _order(logs, None if own.theta is None else np.array(drawn), len(tried)),
    )  # fmt: skip


def reach(law: Law, theta: Array, point: Columns, loss: Array) -> Array:
    """Log of the multiple of a point's compute at which the law comes down to a loss, (R,); infinite where it never does, within FARTHEST times.

    Args:
        theta: (R, P). point: columns, each (1,). loss: (R,).
    """
    far = math.log(FARTHEST)
    low, high = np.full(len(theta), -far), np.full(len(theta), far)

    def over(log: Array) -> np.ndarray:
        place = scaled(
            {name: np.broadcast_to(values, (len(theta), 1)) for name, values in point.items()}, np.exp(log)[:, None]
        )
        return np.asarray(law.predict(theta, place)[:, 0] > loss)

    never = over(high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = over(middle)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(never, np.inf, (low + high) / 2)


def _fraction(
    found: RecipeCurves, own: RecipeCurve, other: RecipeCurve, budget: int, far: float
) -> tuple[float, Array, ComputeFraction]:
    """The logarithm of the fraction at `far` times a budget, its draws, and what is shown of them."""
    law, at, tried = found.law, found.budgets.at(budget, far), found.budgets.columns["C"]
    point = scaled(found.budgets.point(budget), far)
    [loss] = law.predict(other.fit.theta[None], point)[:, 0]
    draws = reach(law, own.fit.theta[None], point, np.array([loss]))
    value, known = float(draws[0]), None
    if own.theta is not None and other.theta is not None:
        draws = known = reach(law, own.theta, point, law.predict(other.theta, point)[:, 0])
    said = [beyond(at["C"], tried[other.means.budgets])]
    if needed := beyond(at["C"] * math.exp(value), tried[own.means.budgets]):
        said.append(f"what {own.name} needs is {needed} of its own")
    never, extrapolated = float(np.mean(draws == np.inf)), "; ".join(filter(None, said)) or None
    return value, draws, ComputeFraction(at, float(loss), _estimate(value, known), never, extrapolated)


def _estimate(log: float, draws: Array | None) -> Estimate:
    """Of a logarithm and its draws; a draw of infinity lies above all others."""
    value = math.exp(log) if math.isfinite(log) else None
    if draws is None or np.isnan(draws).mean() > (1 - LEVEL) / 2:
        return Estimate(value, None, None)
    draws = np.where(np.isnan(draws), np.inf, draws)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, tail, method="lower"), np.quantile(draws, 1 - tail, method="higher")
    return Estimate(value, *(math.exp(end) if math.isfinite(end) else None for end in (low, high)))


def _crossing(
    law: Law, own: RecipeCurve, other: RecipeCurve, point: Columns, least: float, farthest: float
) -> Crossing | None:
    """Where two laws cross last."""
    if own.theta is None or other.theta is None:
        return None
    top = float(point["C"][0])
    logs = np.linspace(math.log(least / top), math.log(farthest), PLACES)
    path = {name: values[:, 0] for name, values in scaled(dict(point), np.exp(logs)[:, None]).items()}
    [value] = last_root(logs, law.predict(own.fit.theta[None], path) - law.predict(other.fit.theta[None], path))
    ends = percentiles(last_root(logs, law.predict(own.theta, path) - law.predict(other.theta, path)))
    if ends is None or not math.isfinite(value):
        return None
    return Crossing(top * math.exp(value), top * math.exp(ends[0]), top * math.exp(ends[1]))


def last_root(x: Array, values: Array) -> Array:
    """The largest root (R,) of values (R, K) on x (K,), by straight lines; nan where the sign never changes."""
    changes = np.signbit(values[:, 1:]) != np.signbit(values[:, :-1])
    at = values.shape[1] - 2 - np.argmax(changes[:, ::-1], axis=1)
    rows = np.arange(len(values))
    left, right = values[rows, at], values[rows, at + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = x[at] + (x[at + 1] - x[at]) * left / (left - right)
    return np.where(changes.any(axis=1), root, np.nan)


def _order(logs: Sequence[float], draws: Array | None, tried: int) -> str:
    """What is shown of the order of losses, at 95% for all budgets together: a lower loss is a fraction under 1.

    Args:
        logs: of the fractions, first at the budgets `tried`, then beyond. draws: of these, (K, R).
    """
    signs = set() if draws is None else _signs(np.array(logs[:tried]), draws[:tried])
    everywhere = set() if draws is None else _signs(np.array(logs), draws)
    if len(signs) > 1:
        return "the order of losses flips within the budgets"
    if len(everywhere) > 1:
        return "the order of losses flips beyond the budgets"
    if found := signs | everywhere:
        return f"its loss is {found.pop()} where the two can be told apart"
    return "can't be told apart"


def _signs(logs: Array, draws: Array) -> set[str]:
    """On which sides of 0 logarithms (K,) are shown to lie, by the largest deviation of their draws (K, R)."""
    far = math.log(FARTHEST)
    logs, draws = np.clip(logs, -far, far), np.clip(draws, -far, far)
    sd = np.maximum(draws.std(axis=1), 1e-12)
    largest = np.abs((draws - draws.mean(axis=1, keepdims=True)) / sd[:, None]).max(axis=0)
    half = float(np.quantile(largest, LEVEL)) * sd
    return {side for side, shown in (("lower", logs < -half), ("higher", logs > half)) if shown.any()}
