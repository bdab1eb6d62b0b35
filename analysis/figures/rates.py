"""The best learning rate and batch of each budget, and their power laws."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import Curve, Panel, Points
from analysis.laws.law import Array
from analysis.rate_laws.rate_powers import RatePower
from analysis.rate_laws.rate_surface import Optimum, RateSurfaces
from analysis.tables.budgets import shown

NAME = "rates"
TITLE = "Best learning rate and batch by budget"
NOTHING = "no budget has enough settings for a quadratic"
CAPTION = (
    "The bottom of a quadratic in log learning rate and log batch of each budget, with its 95% interval, and the power law in size and "
    "tokens (lines, one a size). Hollow: the least loss lies at the smallest or largest value tried, so that the best may lie beyond; no law "
    "uses these."
)
COLUMNS = 2
MOST_SIZES = 7  # told apart by colour

Source = tuple[RateSurfaces, tuple[RatePower, ...]]


def rows(source: Source) -> list[dict[str, Any]]:
    """One row a budget and axis."""
    found, _ = source
    return [
        {
            "axis": axis, "budget": shown(found.budgets.at(cell.budget)), **found.budgets.at(cell.budget), "value": best.value,
            "low": best.interval and best.interval[0], "high": best.interval and best.interval[1], "edge": best.edge or "",
            "loss": cell.loss, "settings": cell.settings, "used": cell.used,
        }
        for cell in found.cells
        for axis, best in cell.optimum.items()
    ]  # fmt: skip


def panels(source: Source) -> list[Panel]:
    """One an axis."""
    found, laws = source
    drawn = []
    for law in laws:
        best = {cell.budget: cell.optimum[law.axis] for cell in found.cells if law.axis in cell.optimum}
        if not best:
            continue
        marks, curves = [], []
        for rank, (name, members) in enumerate(by_size := _sizes(found, sorted(best))):
            look = style.of_size(rank, len(by_size), name)
            hollow = style.of_size(rank, len(by_size), f"{name}, at an edge", "partner")
            for chosen, at_edge in ((look, False), (hollow, True)):
                if own := [b for b in members if bool(best[b].edge) == at_edge]:
                    marks.append(_marks(found, chosen, own, best))
            if law.terms and len(members) > 1:
                curves.append(_curve(found, law, look, members))
        title = f"best {'learning rate' if law.axis == 'lr' else 'batch'}"
        drawn.append(Panel(title, "training FLOP", law.axis, tuple(marks), tuple(curves), log_x=True, log_y=True))
    return drawn


def _sizes(found: RateSurfaces, members: list[int]) -> list[tuple[str, list[int]]]:
    """Budgets by size, where sizes and tokens vary apart and sizes are few enough; else all together."""
    by: dict[str, list[int]] = {}
    for budget in () if found.budgets.ladder else members:
        by.setdefault(f"N {found.budgets.columns['N'][budget]:.2g}", []).append(budget)
    if not 0 < len(by) <= MOST_SIZES:
        return [("budgets", members)]
    return sorted(by.items(), key=lambda item: found.budgets.columns["N"][item[1][0]])


def _marks(found: RateSurfaces, look: style.Look, members: list[int], best: dict[int, Optimum]) -> Points:
    value = np.array([best[b].value for b in members])
    low, high = (
        np.array([best[b].value if (ends := best[b].interval) is None else ends[i] for b in members]) for i in (0, 1)
    )
    flops, names = found.budgets.columns["C"][members], [shown(found.budgets.at(b)) for b in members]
    return Points(look, flops, value, names, low, high)


def _curve(found: RateSurfaces, law: RatePower, look: style.Look, members: list[int]) -> Curve:
    """What the law says at these budgets, in rising order of compute."""
    points = [found.budgets.at(budget) for budget in members]
    x: Array = np.array([point["C"] for point in points])
    return Curve(look, x, np.array([law.at(point)[0] for point in points]), look.label)
