"""What compute recipes need for one loss, and how budgets rank them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import Panel, Points
from analysis.recipe_laws.comparison import RecipeComparison
from analysis.recipe_laws.fractions import AgainstReference, ComputeFraction, Estimate
from analysis.tables.budgets import shown

NAME = "recipes"
TITLE = "Recipe against recipe"
NOTHING = "no two recipes to compare"
CAPTION = (
    "Left: the share of the reference's training compute at which a recipe reaches the reference's loss, by the laws fitted to both, with 95% "
    "intervals; under 1 it needs less. Hollow: extrapolated. A line that runs off has no end: in some draws the recipe never gets there. Right: "
    "the share of pairs of recipes that a budget ranks as the largest one does. Its interval is from the pairs shown to keep their order to those "
    "not shown to switch it; grey: how a second run of the largest would rank them, by noise alone."
)
COLUMNS = 2
WIDEST = 30.0  # times more or less compute that is drawn


def rows(found: RecipeComparison) -> list[dict[str, Any]]:
    """One row a recipe and budget, then one a budget's ranking."""
    fractions = [
        {
            "recipe": own.name, "reference": found.reference, "budget": shown(part.at), "C": part.at["C"], "loss": part.loss,
            "what": "fraction", **_row(part.fraction), "never": part.never, "extrapolated": part.extrapolated or "",
        }
        for own in found.against
        for part in own.fractions
    ]  # fmt: skip
    rankings = [
        {
            "recipe": "", "reference": "", "budget": shown(rank.at), "C": rank.at["C"], "loss": "",
            "what": "accuracy", **_row(rank.accuracy), "never": "", "extrapolated": "",
        }
        for rank in found.rankings
    ]  # fmt: skip
    return fractions + rankings


def panels(found: RecipeComparison) -> list[Panel]:
    """Fractions by compute; accuracy by compute."""
    drawn = [
        marks
        for rank, own in enumerate(found.against)
        for marks in _marks(own, rank, ladder=found.curves.budgets.ladder)
    ]
    flops = np.array([part.at["C"] for own in found.against for part in own.fractions])
    if not drawn:
        return []
    ends = np.concatenate([end for marks in drawn for end in (marks.low, marks.high, marks.y) if end is not None])
    one = np.array([flops.min(), flops.max()])
    first = Panel(
        "share of the reference's compute", "training FLOP of the reference", "share", tuple(drawn),
        guides=((one, np.ones(2)),), log_x=True, log_y=True, limits=(0.8 * min(ends.min(), 0.8), 1.25 * max(ends.max(), 1.25)),
    )  # fmt: skip
    return [first, *_accuracy(found)]


def _marks(own: AgainstReference, rank: int, *, ladder: bool) -> list[Points]:
    name = own.name.replace("$", r"\$")  # which begins a formula in a figure's texts
    inside, beyond = (
        [
            part
            for part in own.fractions
            if part.fraction.value is not None and (part.extrapolated is not None) == outside
        ]
        for outside in (False, True)
    )
    hollow = style.of_rank("recipe", rank, f"{name}, extrapolated", "partner")
    found = [_points(style.of_rank("recipe", rank, name), inside, joined=ladder and len(inside) > 1)] if inside else []
    return [*found, *([_points(hollow, beyond, joined=False)] if beyond else [])]


def _points(look: style.Look, part: Sequence[ComputeFraction], *, joined: bool) -> Points:
    value = np.array([own.fraction.value for own in part], dtype=float)
    low, high = (np.clip([_end(own.fraction, side) for own in part], 1 / WIDEST, WIDEST) for side in ("low", "high"))
    flops, names = np.array([own.at["C"] for own in part]), [shown(own.at) for own in part]
    return Points(look, flops, np.clip(value, 1 / WIDEST, WIDEST), names, low, high, joined)


def _end(estimate: Estimate, side: str) -> float:
    """An end of an interval; far away where it is open, and the value itself where there is none."""
    if estimate.low is None and estimate.high is None:
        return float(estimate.value or 1.0)
    end = getattr(estimate, side)
    return (np.inf if side == "high" else 0.0) if end is None else float(end)


def _accuracy(found: RecipeComparison) -> list[Panel]:
    if not found.rankings:
        return []
    value, low, high = (
        np.array([getattr(rank.accuracy, name) for rank in found.rankings], dtype=float)
        for name in ("value", "low", "high")
    )
    noise = found.rankings[-1].repeat
    bands = () if noise.low is None or noise.high is None else ((noise.low, noise.high),)
    points = Points(
        style.Look("pairs ranked alike", style.INK, "o"), np.array([rank.at["C"] for rank in found.rankings]), value,
        [shown(rank.at) for rank in found.rankings], low, high, joined=False,
    )  # fmt: skip
    return [
        Panel(
            "decision accuracy", "training FLOP of the small budget", "share of pairs", (points,), bands=bands, log_x=True, limits=(0.0, 1.03)
        )
    ]  # fmt: skip


def _row(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
