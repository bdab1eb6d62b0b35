"""Figure 6: starting too late, and pruning for too long."""

from __future__ import annotations

from typing import Any

from analysis.figures.panel import NATS, Meaning, Panel, of_each_sparsity
from analysis.findings.evidence import Evidence

NAME = "fig6_failure_modes"
TITLE = "Two ways to fail"
NOTHING = "the sweep's grid holds no 25/50/25"
CAPTION = (
    "Cut from the schedule grid, seed 0: held-out loss less that of 25/50/25 of the same sparsity. Left of each pair the pruning share is "
    "fixed at 50% and the dense share grows, so that recovery shrinks; right the dense share is fixed at 25% and pruning takes longer. "
    "Bars are twice the noise of a difference of two runs on each side."
)
CUTS = {
    "starting later": ("share of compute spent dense, %", ((0.0, 0.5), (0.25, 0.75), (0.5, 1.0)), 0),
    "pruning longer": ("share of compute spent pruning, %", ((0.25, 0.5), (0.25, 0.75), (0.25, 1.0)), 1),
}
HOME = (0.25, 0.75)
MEANS = {
    "cut": Meaning("", "which way through the grid: starting later, or pruning longer"),
    "share": Meaning("share of compute", "spent dense (starting later) or spent pruning (pruning longer)"),
    "over_25_50_25": Meaning(NATS, "loss less that of 25/50/25 of the same size, budget and sparsity"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per run of a cut."""
    found = []
    grid = evidence.tables.grid
    by_key = {
        (r["dense_tokens"], r["size"], r["budget"], r["sparsity"], round(r["start"], 6), round(r["end"], 6)): r
        for r in grid.rows()
    }
    for family in sorted({key[:4] for key in by_key}):
        home = by_key.get((*family, *HOME))
        if home is None:
            continue
        for cut, (_, windows, varied) in CUTS.items():
            for start, end in windows:
                if run := by_key.get((*family, start, end)):
                    row = {"cut": cut, "size": family[1], "budget": family[2], "sparsity": family[3]}
                    row |= {"share": (start, end - start)[varied], "run_id": run["run_id"], "loss": run["loss"]}
                    found.append(row | {"over_25_50_25": run["loss"] - home["loss"]})
    return found


def panels(evidence: Evidence) -> list[Panel]:
    """Two panels a size and budget."""
    found = rows(evidence)
    noise = evidence.noise.paired.sd if evidence.noise.paired else None
    drawn = []
    for family in dict.fromkeys((r["size"], r["budget"]) for r in found):
        for cut, (label, _, _) in CUTS.items():
            own = [r for r in found if (r["size"], r["budget"]) == family and r["cut"] == cut]
            lines = [_with_noise(row, noise) | {"share": 100 * row["share"]} for row in own]
            points = of_each_sparsity(lines, "share", "over_25_50_25", ends=True, joined=True, apart=0.6)
            drawn.append(Panel(f"{family[0]} {family[1]}, {cut}", label, "over 25/50/25, nats", tuple(points)))
    return drawn


def _with_noise(row: dict[str, Any], noise: float | None) -> dict[str, Any]:
    """The row with ends of its bar; 25/50/25, to which the others are compared, has none."""
    over, half = row["over_25_50_25"], 2 * noise if noise and row["over_25_50_25"] else 0.0
    return row | {"low": None if noise is None else over - half, "high": None if noise is None else over + half}
