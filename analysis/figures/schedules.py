"""Figure 4: held-out loss over the schedule grid, a panel a sparsity and budget."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.figures import style
from analysis.figures.panel import NATS, Meaning
from analysis.findings.evidence import Evidence
from analysis.tables.data import PAPER_END, PAPER_START

NAME = "fig4_schedules"
TITLE = "When to prune: the schedule grid"
CAPTION = (
    "Held-out loss over each panel's best, in thousandths of a nat, for every share of compute spent dense and spent pruning (seed 0). "
    "The best is starred; the paper's 25/50/25 is framed."
)
MEANS = {
    "dense_share": Meaning("share of compute", "spent dense before the first pruning event"),
    "pruning_share": Meaning("share of compute", "spent between the first and the last event"),
    "over_best": Meaning(NATS, "loss less the lowest of the same size, budget and sparsity"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per run of the grid."""
    grid = evidence.tables.grid
    panels = defaultdict(list)
    for run in grid.rows():
        panels[run["dense_tokens"], run["size"], run["budget"], run["sparsity"]].append(run)
    return [
        {
            **{name: run[name] for name in ("run_id", "size", "budget", "dense_tokens", "sparsity")},
            "dense_share": run["start"],
            "pruning_share": round(run["end"] - run["start"], 6),
            **{name: run[name] for name in ("N_avg", "D", "loss")},
            "over_best": run["loss"] - min(r["loss"] for r in members),
        }
        for _, members in sorted(panels.items())
        for run in members
    ]


def draw(evidence: Evidence) -> Figure:
    cells = rows(evidence)
    if not cells:
        return style.nothing("the sweep holds no schedule grid")
    families = sorted({(c["dense_tokens"], c["size"], c["budget"]) for c in cells})
    sparsities = sorted({c["sparsity"] for c in cells})
    dense, pruning = sorted({c["dense_share"] for c in cells}), sorted({c["pruning_share"] for c in cells})
    figure = style.figure(0.6 + 1.55 * len(families))
    panels = figure.subplots(len(families), len(sparsities), squeeze=False, sharex=True, sharey=True)
    ceiling = max(float(np.quantile([c["over_best"] for c in cells], 0.9)), 1e-6)
    for (_, size, budget), line in zip(families, panels, strict=True):
        for sparsity, axes in zip(sparsities, line, strict=True):
            own = [c for c in cells if (c["size"], c["budget"], c["sparsity"]) == (size, budget, sparsity)]
            _heat(axes, own, dense, pruning, ceiling)
            axes.set_title(f"{size} {budget}, {sparsity:.0%}", fontsize=7)
    bar = figure.colorbar(panels[0, 0].images[0], ax=panels, shrink=0.8, pad=0.01, extend="max")
    bar.set_label("over the best, nats")
    figure.supxlabel("share of compute spent pruning, %", fontsize=7.5)
    figure.supylabel("share spent dense before, %", fontsize=7.5)
    return figure


def _heat(axes: Axes, cells: list[dict[str, Any]], dense: list[float], pruning: list[float], ceiling: float) -> None:
    values = np.full((len(dense), len(pruning)), np.nan)
    for cell in cells:
        values[dense.index(cell["dense_share"]), pruning.index(cell["pruning_share"])] = cell["over_best"]
    axes.imshow(values, cmap="cividis_r", vmin=0, vmax=ceiling, origin="lower", aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            text, ink = "★" if value == 0 else f"{1000 * value:.0f}", "white" if value > 0.5 * ceiling else style.INK
            axes.text(j, i, text, ha="center", va="center", fontsize=6.5, color=ink)
        if np.isclose([dense[i], pruning[j]], [PAPER_START, PAPER_END - PAPER_START]).all():
            axes.add_patch(Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, fill=False, edgecolor="#d55e00", linewidth=1.4))
    axes.set_xticks(range(len(pruning)), [f"{100 * p:.0f}" for p in pruning])
    axes.set_yticks(range(len(dense)), [f"{100 * d:.0f}" for d in dense])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
