"""The map: what a sparse run is worth, over sizes and tokens per parameter, a panel a sparsity."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.claims.unification import HIGH, LOW
from analysis.figures import style
from analysis.figures.panel import Meaning
from analysis.findings.evidence import Evidence
from analysis.findings.unification_map import Cell, has_map
from analysis.shown import plain

NAME = "map"
TITLE = "What is a sparse run worth?"
applies = has_map
CAPTION = (
    "Each cell compares a run that is pruned while it trains with a dense run of its average size, on the same tokens, and asks how large a "
    "dense run would end at the sparse run's loss. The number is that size over the sparse run's average size: 1 means that a parameter "
    "that is there half of the time is worth half a parameter, less than 1 that pruning costs more than it saves. Under it stands its "
    "interval (simultaneous at 95% over sizes and sparsities). Framed: the interval lies inside 0.9 to 1.1. The paper's runs had "
    "206 to 396 tokens per parameter."
)
WIDEST = np.log(1.6)  # the colours end at 1.6 and at 1/1.6
WIDE = 4  # columns; beyond them panels go under each other
COLOURS = "PuOr"  # safe for colour-blind readers: orange is worse than dense, purple better
MEANS = {
    "N": Meaning("parameters", "prunable weights of the dense size"),
    "tokens_per_param": Meaning("tokens/parameter", "of the dense run of equal compute"),
    "ratio": Meaning("", "N_eff / N_avg: the dense size that ends at the sparse run's loss, over its average size"),
    "low": Meaning("", "lower end of its 95% interval, simultaneous over sizes and sparsities"),
    "high": Meaning("", "upper end of it"),
    "seeds": Meaning("", "seeds at which both runs of the pair were trained"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row a cell: what map.csv holds."""
    return [cell.row for cell in evidence.chart.cells]


def draw(evidence: Evidence) -> Figure:
    cells = evidence.chart.cells
    if all(cell.ratio is None for cell in cells):
        return style.nothing("the map holds no sparse run with a dense partner whose size can be weighed")
    sparsities = sorted({c.sparsity for c in cells})
    sizes = sorted({c.n for c in cells})
    ratios = sorted({round(c.tokens_per_param) for c in cells})
    stacked = len(ratios) > WIDE
    figure = style.figure(1.35 + 0.5 * len(sizes) * (len(sparsities) if stacked else 1))
    grid = figure.subplots(
        len(sparsities) if stacked else 1, 1 if stacked else len(sparsities), squeeze=False, sharex=True, sharey=True
    ).ravel()
    for sparsity, axes in zip(sparsities, grid, strict=True):
        _panel(axes, [c for c in cells if c.sparsity == sparsity], sizes, ratios)
        axes.set_title(f"pruned to {sparsity:.0%} sparsity", fontsize=7.5)
    bar = figure.colorbar(grid[0].images[0], ax=list(grid), shrink=0.9, pad=0.015, extend="both")
    marks = [0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4]
    bar.set_ticks([float(np.log(m)) for m in marks], labels=[f"{m:g}" for m in marks])
    bar.set_label("dense size of equal loss ÷ average size")
    figure.supxlabel("training tokens per parameter (of the dense run of equal compute)", fontsize=7.5)
    figure.supylabel("parameters", fontsize=7.5)
    figure.suptitle(
        "1 = a sparse model is as good as a dense one of its average size on the same tokens\nframed = shown to be within 10% of that",
        fontsize=8,
    )
    return figure


def _panel(axes: Axes, cells: list[Cell], sizes: list[float], ratios: list[int]) -> None:
    values = np.full((len(sizes), len(ratios)), np.nan)
    for cell in cells:
        if cell.ratio is not None:
            values[sizes.index(cell.n), ratios.index(round(cell.tokens_per_param))] = np.log(cell.ratio.value)
    norm = Normalize(-WIDEST, WIDEST)
    axes.imshow(values, cmap=COLOURS, norm=norm, origin="lower", aspect="auto")
    for cell in cells:
        at = ratios.index(round(cell.tokens_per_param)), sizes.index(cell.n)
        if cell.ratio is None:
            axes.text(*at, "not known", ha="center", va="center", fontsize=5.5, color=style.INK)
            continue
        red, green, blue, _ = colormaps[COLOURS](norm(np.log(cell.ratio.value)))
        ink = style.INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        ends = cell.ratio.interval
        axes.text(*at, f"{cell.ratio.value:.2f}", ha="center", va="bottom", fontsize=7.5, fontweight="bold", color=ink)
        under = f"{ends[0]:.2f}–{ends[1]:.2f}" if ends else "no interval"
        axes.text(at[0], at[1] - 0.06, under, ha="center", va="top", fontsize=5.5, color=ink)
        if ends and ends[0] > LOW and ends[1] < HIGH:
            frame = Rectangle((at[0] - 0.47, at[1] - 0.46), 0.94, 0.92, fill=False, edgecolor=style.INK, linewidth=1.5)
            axes.add_patch(frame)
    axes.set_xticks(range(len(ratios)), [str(r) for r in ratios])
    axes.set_yticks(range(len(sizes)), [plain(n) for n in sizes])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
