"""Claim (a): one schedule, dense 25 / prune 50 / recover 25, is the best or nearly the best in every cell."""

from __future__ import annotations

import numpy as np

from analysis.claims.regret import ERROR_RATE, MARGIN, TOP, judge_cells, largest_bounds
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.laws.law import Array
from analysis.tables.data import Tables
from analysis.tables.schedules import grid_cells
from analysis.worlds.world import World

SCHEDULES = 10
SPARSITIES = (0.2, 0.4, 0.6, 0.8)

CLAIM = "a"
STATEMENT = (
    "Dense for 25%, pruning for 50% and recovering for 25% of compute is the best schedule or within .01 nats of it."
)
PAPER = "within .01 nats of the best at every sparsity and budget"
RULE = f"""
The regret of a cell (size, budget, sparsity) is the loss of 25/50/25 less that of the cell's best schedule. Rivals are
picked at seed 0 (the cell's top {TOP}, 25/50/25 itself aside) and compared on fresh seeds only, paired by seed, so that
the luck that made them rivals doesn't count. A rival without fresh seeds enters the upper bound with its difference at seed
0. Where no rival has fresh seeds, all other schedules of the cell are compared at seed 0 (Hsu's multiple comparison with the
best, with Bonferroni's quantile). The standard error comes from the seeds' paired noise, quantiles from Student's t. Each
bound is one-sided at {ERROR_RATE:.0%} over all cells (Bonferroni); the lower one also over the cell's rivals, while the upper
one, a maximum over rivals, needs no correction for them. Reproduced: the sweep has all four sparsities, two budgets and
ten schedules in each cell, and every upper bound is under {MARGIN} nats. Not reproduced: any lower bound is over it.
Otherwise inconclusive.
""".strip().replace("\n", " ")

TRUE = (
    "in each cell no schedule ends under 25/50/25: the law in N_avg, and a tie where it would favour another schedule"
)
FALSE = f"the same, but in one cell, of the highest sparsity, one rival ends {MARGIN} nats under 25/50/25"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (a)."""
    cells, skipped = judge_cells(evidence)
    notes, paired = [*skipped], evidence.noise.paired
    if cells:
        fresh = sum(c.source == "fresh seeds" for c in cells)
        notes.append(f"Cells measured on fresh seeds: {fresh} of {len(cells)}; the others at seed 0.")
    if cells and paired is not None:
        by_luck = f"a standard deviation of {paired.sd:.4f} nats by luck ({paired.dof} degrees of freedom)"
        notes.append(f"Two runs of one seed differ with {by_luck}.")
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "largest regret of 25/50/25 over the cells, nats",
        rule(evidence),
        (max((c.regret.value for c in cells), default=None), largest_bounds([c.regret for c in cells])),
        {"Regret of 25/50/25, nats": (c.row() for c in cells)},
        notes,
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    cells, _ = judge_cells(evidence)
    if not cells:
        return "inconclusive", "no cell holds 25/50/25 and a rival"
    sparsities, budgets = {round(c.sparsity, 6) for c in cells}, {c.budget for c in cells}
    whole = sparsities >= set(SPARSITIES) and len(budgets) >= 2 and all(c.schedules >= SCHEDULES for c in cells)
    refuting = [c for c in cells if c.outcome == "not reproduced"]
    within = [c for c in cells if c.outcome == "reproduced"]
    if largest_bounds([c.regret for c in cells]) is None:
        return "inconclusive", evidence.noise.no_interval("a regret", paired=True)
    if refuting:
        why = f"cells where another schedule is shown to be better by over {MARGIN}: {len(refuting)} of {len(cells)}"
        return "not reproduced", why
    if len(within) < len(cells):
        why = f"cells where the regret is shown to be under {MARGIN}: {len(within)} of {len(cells)}; over it: none"
        return "inconclusive", why
    if not whole:
        why = f"under {MARGIN} in all {len(cells)} cells, but the sweep doesn't hold the paper's whole grid"
        return "inconclusive", why
    return "reproduced", f"the regret is under {MARGIN} in all {len(cells)} cells"


def true_world(world: World) -> Array:
    """Mean losses of `TRUE`."""
    return world.changed({recipe: max(loss, home) for _, home, rivals in _grid(world) for recipe, loss in rivals})


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    cells = _grid(world)
    if not cells:
        return world.losses()
    losses = {recipe: max(loss, home) for _, home, rivals in cells for recipe, loss in rivals}
    fresh = set(world.tables.selected(lambda r: r["seed"] > 0)["recipe"])
    _, home, rivals = max(cells, key=lambda cell: cell[0])
    better = next((recipe for recipe, _ in rivals if recipe in fresh), rivals[0][0])
    return world.changed(losses | {better: home - MARGIN})


def _grid(world: World) -> list[tuple[float, float, list[tuple[str, float]]]]:
    """Of each cell its sparsity, the mean loss of 25/50/25, and the recipes and mean losses of its rivals."""
    found = []
    for cell in grid_cells(world.tables.grid)[0]:
        home = cell.at_paper_schedule
        rivals = list(zip(cell["recipe"][~home], cell["loss"][~home], strict=True))
        found.append((float(cell["sparsity"][0]), float(cell["loss"][home][0]), rivals))
    return found


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: in each cell 25/50/25, and its rivals that have fresh seeds or are the best."""
    fresh = set(tables.selected(lambda r: r["seed"] > 0)["recipe"])
    found: set[str] = set()
    for cell in grid_cells(tables.grid)[0]:
        home = cell.at_paper_schedule
        rivals = cell["recipe"][~home][np.argsort(cell["loss"][~home], kind="stable")]
        own = fresh & set(rivals)
        found |= {*cell["recipe"][home], *(own if len(own) < len(rivals) else ()), *(() if own else rivals[:TOP])}
    return found
