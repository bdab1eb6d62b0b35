"""Losses over sizes by budget or along training curves, and the best size and tokens over compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import Curve, Panel, Points
from analysis.fits.isoflop import BestSize, Frontier

NAME = "isoflop"
TITLE = "The best size for a budget"
NOTHING = "no budget has a minimum"
CAPTION = (
    "Left: losses over sizes, a colour a range of budgets, with the curves through them and their minima; or training curves, "
    "a colour a range of sizes, and where the envelope passes from one size to the next. Right: the best size and tokens over training "
    "FLOP with 95% intervals of each size, and the power of compute through them."
)
COLUMNS = 2

RANGES = 7  # colours of budgets, or of sizes
BEST = style.Look("best size of a budget", style.INK, "*")
PASSED = style.Look("passage to the next size", style.INK, "*")
SIZE, TOKENS = style.of_rank("best", 0, "N_opt"), style.of_rank("best", 1, "D_opt")


def rows(found: Frontier) -> list[dict[str, Any]]:
    """One row per run, a place of a curve, and a best size."""
    along = found.method == "envelope"
    drawn = []
    for kind, parts in (("run", found.points), ("curve", found.drawn)):
        for key, x, loss in parts:
            for at, value in zip(x.tolist(), loss.tolist(), strict=True):
                c, n = (at, key) if along else (key, at)
                drawn.append(_row(kind, C=c, N=n, loss=value))
    for one in found.best:
        on_line = float(np.exp(found.line.at(np.log(one.C))))
        own = {name: getattr(one, name) for name in ("C", "N", "low", "high", "D", "loss", "left_out")}
        drawn.append(_row("best", **own, line_N=on_line))
    return drawn


def _row(kind: str, **known: Any) -> dict[str, Any]:
    names = ("C", "N", "low", "high", "D", "loss", "line_N", "left_out")
    return {"kind": kind} | {name: known.get(name) for name in names}


def panels(found: Frontier) -> list[Panel]:
    """The curves, and the power."""
    along = found.method == "envelope"
    looks = _looks(sorted({key for key, _, _ in (*found.points, *found.drawn)}), "N" if along else "C")
    best = [one for one in found.best if one.left_out is None]
    lowest = Points(
        PASSED if along else BEST,
        np.array([one.C if along else one.N for one in best], dtype=float),
        np.array([one.loss for one in best], dtype=float),
        _names(best),
    )
    return [
        Panel(
            "training curves" if along else "runs of equal compute",
            "training FLOP" if along else "parameters, N",
            "loss, nats/token",
            points=(*(Points(looks[key], x, loss, [f"{key:.3g}"] * len(x)) for key, x, loss in found.points), lowest),
            curves=tuple(Curve(looks[key], x, loss, f"{key:.3g}") for key, x, loss in found.drawn),
            log_x=True,
            counts=not along,
            limits=_limits(found) if along else None,
        ),
        _power(found, best),
    ]


def _power(found: Frontier, best: Sequence[BestSize]) -> Panel:
    flops, size, tokens = (np.array([getattr(one, name) for one in best], dtype=float) for name in ("C", "N", "D"))
    known = all(one.low is not None for one in best)
    ends = (np.array([getattr(one, name) for one in best], dtype=float) if known else None for name in ("low", "high"))
    grid = np.geomspace(flops.min() / 1.5, flops.max() * 1.5, 50)
    through = np.exp(found.line.at(np.log(grid)))
    of_tokens = np.exp(found.a_D.value * (np.log(grid) - np.log(flops).mean()) + np.log(tokens).mean())
    return Panel(
        f"N_opt ∝ C^{found.a_N.value:.3f}, D_opt ∝ C^{found.a_D.value:.3f}",
        "training FLOP",
        "parameters, tokens",
        points=(
            Points(SIZE, flops, size, _names(best), next(ends), next(ends)),
            Points(TOKENS, flops, tokens, _names(best)),
        ),
        curves=(Curve(SIZE, grid, through, "power"), Curve(TOKENS, grid, of_tokens, "power")),
        log_x=True,
        log_y=True,
        counts_y=True,
    )


def _names(best: Sequence[BestSize]) -> list[str]:
    return [f"C = {one.C:.3g}" for one in best]


def _looks(keys: Sequence[float], name: str) -> dict[float, style.Look]:
    """A look a key, of as many colours as there are ranges: cool for few FLOP or parameters, warm for many."""
    count = min(RANGES, len(keys))
    found: dict[float, style.Look] = {}
    for rank, part in enumerate(np.array_split(np.array(keys), count)):
        low, high = f"{part[0]:.2g}", f"{part[-1]:.2g}"
        look = style.of_size(rank, count, f"{name} = {low}" + (f" to {high}" if high != low else ""))
        found |= dict.fromkeys(part.tolist(), look)
    return found


def _limits(found: Frontier) -> tuple[float, float]:
    """Of the losses: from the lowest to the highest passage and a half of their distance to both sides."""
    losses = [one.loss for one in found.best if one.loss is not None]
    apart = max(losses) - min(losses)
    return min(min(loss.min() for _, _, loss in found.drawn), min(losses)) - 0.05 * apart, max(losses) + 0.5 * apart
