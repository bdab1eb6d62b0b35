"""What each operator of growth ends at, beside the dense runs from scratch."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.figures import style
from analysis.figures.panel import Meaning, Panel, Points
from analysis.findings.evidence import Evidence
from analysis.laws.law import Array
from analysis.tables.data import Runs, has_growth
from analysis.tables.growth import GrownLife, grown

NAME = "growth"
TITLE = "Models that grow, by operator, at one N(t)"
applies = has_growth
NOTHING = "no model grew"
CAPTION = (
    "Held-out loss at the end of a life of equal tokens; each mark is a seed. Operators make the same number of weights of one small model, so that N(t) is the same in all. "
    "Hollow: dense runs from scratch on all tokens, and the small model trained on as it is. Grey line: what the law in N_avg, fitted to dense runs alone, says of the operators' N_avg."
)
COLUMNS = 1
MEANS = {
    "life": Meaning("", "models that grow from one small model at one N(t)"),
    "operator": Meaning("", "how the model grew; or the dense run beside it"),
}


def rows(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per run."""
    return [
        {
            "life": life.name, "operator": name, "run_id": run["run_id"], "seed": run["seed"], "N_avg_life": run["N_avg_life"],
            "D_life": run["D_life"], "N_prunable": run["N_prunable"], "loss": run["loss"],
        }
        for life in grown(evidence.tables)
        for name, runs, _ in _named(life)
        for run in runs.rows()
    ]  # fmt: skip


def panels(evidence: Evidence) -> list[Panel]:
    """One panel a life."""
    return [_panel(evidence, life) for life in grown(evidence.tables)]


def _named(life: GrownLife) -> list[tuple[str, Runs, bool]]:
    """Name, runs and whether they grew."""
    found = [(operator, runs, True) for operator, runs in life.operators.items()]
    found += [("not grown", life.ungrown, False)] if len(life.ungrown) else []
    small = f"{life.name.split()[0]}-"
    for recipe in dict.fromkeys(life.scratch["recipe"]):
        own = life.scratch.where(life.scratch["recipe"] == recipe)
        found.append((f"{own['size'][0].removeprefix(small)}, dense", own, False))
    return found


def _panel(evidence: Evidence, life: GrownLife) -> Panel:
    named, law, points = _named(life), evidence.arrow.law, []
    for i, (_, runs, grew) in enumerate(named):
        look = style.of_way(style.GROWN) if grew else style.BESIDE
        points.append(Points(look, np.full(len(runs), float(i)), runs["loss"], list(runs["run_id"])))
    guides: tuple[tuple[Array, Array], ...] = ()
    if not isinstance(law, str):
        said = law.predict({"N_avg": np.full(2, life.n_avg), "D": np.full(2, life.d)})
        guides = ((np.array([-0.5, len(life.operators) - 0.5]), said),)
    ticks = tuple(name for name, *_ in named)
    return Panel(life.name, "", "held-out loss, nats/token", tuple(points), guides=guides, ticks=ticks)
