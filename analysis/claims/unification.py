"""Beyond the paper (h): from how many tokens per parameter on does a sparse run reach the loss of a dense one of its average size?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import cells, geometric_mean
from analysis.findings.pairs import pairs_among
from analysis.findings.unification_map import Cell, Chart, map_runs
from analysis.fits.outcome import Interval
from analysis.laws.law import Array
from analysis.shown import plain
from analysis.tables.data import Tables
from analysis.worlds.world import World

CLAIM = "h"
LOW, HIGH = 0.9, 1.1
SPARSITIES = (0.4, 0.8)
ALIKE = 0.95  # a size whose largest ratio is this share of the map's was taken as far

STATEMENT = "From some number of tokens per parameter on, a sparse run ends at the loss of a dense run of its average size, within 10% of size."
PAPER = "claimed for all runs, which had 206 to 396 tokens per prunable parameter (derived); where it begins to hold isn't said"
RULE = f"""
Cells are sizes, tokens per prunable parameter (of the dense run of equal compute) and sparsities. In each, as in claim (c), the
dense partner of equal N_avg, tokens, steps, batch and seed gives the level, and the slope of the dense loss in log N turns nats into
sizes. Over so wide a range one law need not fit, so the slope is local: a quadratic in log N and log D through the mean losses of all
dense configurations, weighted by a Gaussian (standard deviation: a factor of 2 in N, of 4 in D), 5% of the slope added to its error; α
of the law over all dense runs only gives the curvature from there. Intervals account for the noise of a difference at one seed (Student's t; pooled over
the size's pairs; where they have under 12 degrees of freedom, over all pairs if that is larger) and that of the slope (Student's t), and are simultaneous at 95% over sizes
and sparsities (Bonferroni); tokens per parameter need no correction, as they are tested from the largest down and the first failure
ends the test. "Within 10% of 1 from T tokens per parameter on, at N parameters" is shown where at that size every cell with T or more
has its interval inside [{LOW}, {HIGH}], and each has both 40% and 80%; otherwise "not shown". Judged at the sizes that reach the map's
most tokens per parameter. Reproduced: at each of them it is shown from some T on. Not reproduced: a cell at their most tokens per
parameter lies wholly outside [{LOW}, {HIGH}]. Otherwise inconclusive.
""".strip().replace("\n", " ")

TRUE = "the law in N_avg is the truth, so that N_eff/N_avg is 1 in every cell"
FALSE = f"the same, but in one cell, of the most tokens per parameter and the highest sparsity, N_eff/N_avg is {LOW}"
true_world = World.losses  # mean losses of TRUE


@dataclass(frozen=True)
class Onset:
    """What is shown at one size.

    Attributes:
        n: prunable weights.
        most: the most tokens per parameter that the size was taken to.
        since: within 10% of 1 from here on; None where not even at the most.
        outside: names of the cells at the most that lie wholly outside.
    """

    n: float
    most: float
    since: float | None
    outside: tuple[str, ...]

    @property
    def said(self) -> str:
        if self.since is None:
            return f"not shown up to {plain(self.most)} tokens per parameter, at {plain(self.n)} parameters"
        return f"within 10% of 1 from {plain(self.since)} tokens per parameter on, at {plain(self.n)} parameters"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (h), of a sweep with a map."""
    chart = evidence.chart
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "N_eff/N_avg, geometric mean over the cells with the map's most tokens per parameter",
        rule(evidence),
        pooled(chart),
        {
            "Where it is shown, by size": map(_onset_row, onsets(chart)),
            "The map: N_eff/N_avg; losses in nats": map(_row, chart.cells),
        },
        _notes(chart),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    chart = evidence.chart
    found = onsets(chart)
    if not found:
        return "inconclusive", "the map holds no sparse run with a dense partner of equal N_avg, tokens and seed"
    if all(cell.ratio is None for cell in chart.cells):
        return "inconclusive", f"no slope of the dense loss to turn nats into sizes: {chart.cells[0].reason}"
    if all(cell.ratio is None or cell.ratio.interval is None for cell in chart.cells):
        return "inconclusive", evidence.noise.no_interval("a ratio")
    judged = [onset for onset in found if onset.most >= ALIKE * max(own.most for own in found)]
    said = "; ".join(onset.said for onset in found)
    if outside := [name for onset in judged for name in onset.outside]:
        return "not reproduced", f"outside [{LOW}, {HIGH}]: {', '.join(outside)}; {said}"
    return ("reproduced" if all(onset.since is not None for onset in judged) else "inconclusive"), said


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    pairs = [p for p in pairs_among(map_runs(world.tables)) if p.match == "prunable"]
    if not pairs:
        return world.losses()
    worst = max(
        (pair.sparse for pair in pairs),
        key=lambda r: (round(float(r["dense_tokens"][0] / r["N_prunable"][0]), 1), float(r["sparsity"][0])),
    )
    return world.changed({worst["recipe"][0]: world.at_size(LOW * float(worst["N_avg"][0]), float(worst["D"][0]))})


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: both sides of each cell's pair."""
    return {recipe for pair in pairs_among(map_runs(tables)) if pair.match == "prunable" for recipe in pair.recipes}


def onsets(chart: Chart) -> list[Onset]:
    """What is shown at each size, the smallest first."""
    found = []
    for n in dict.fromkeys(cell.n for cell in chart.cells):
        own = [cell for cell in chart.cells if cell.n == n]
        ratios = sorted({_ratio(cell) for cell in own}, reverse=True)
        since = None
        for ratio in ratios:
            there = {round(c.sparsity, 6): c for c in own if _ratio(c) == ratio}
            if not there.keys() >= set(SPARSITIES) or not all(map(_inside, there.values())):
                break
            since = ratio
        outside = tuple(_name(c) for c in own if _ratio(c) == ratios[0] and _outside(c))
        found.append(Onset(n, ratios[0], since, outside))
    return found


def pooled(chart: Chart) -> tuple[float | None, Interval | None]:
    """Geometric mean over the cells with the map's most tokens per parameter, and its 95% interval."""
    most = max((_ratio(c) for c in chart.cells), default=0.0)
    farthest = [c for c in chart.cells if _ratio(c) >= ALIKE * most]
    return geometric_mean((c.ratio.value for c in farthest if c.ratio), (c.draws for c in farthest if c.ratio))


def _ratio(cell: Cell) -> float:
    return round(cell.tokens_per_param, 1)


def _inside(cell: Cell) -> bool:
    return cell.ratio is not None and cell.ratio.inside(LOW, HIGH)


def _outside(cell: Cell) -> bool:
    return cell.ratio is not None and cell.ratio.outside(LOW, HIGH)


def _name(cell: Cell) -> str:
    return f"{cell.sparsity:.0%} at {plain(_ratio(cell))} tokens per parameter, {plain(cell.n)} parameters"


def _notes(chart: Chart) -> Iterator[str]:
    if not chart.cells:
        return
    closest = max(abs(c.pair.n_partner / c.pair.n_avg - 1) for c in chart.cells)
    yield f"Partners' prunable counts are within {closest:.2%} of the sparse runs' N_avg; the level is corrected for it."
    for size, spread in chart.noise.items():
        if spread is not None:
            yield f"By luck the difference of a pair at {size} has a standard deviation of {spread.sd:.4f} nats ({spread.dof} degrees of freedom)."
    if chart.law_error is not None:
        off = [c.slope.value / c.law_slope - 1 for c in chart.cells if c.slope and c.law_slope]
        differs = f"; the local slopes differ from its slopes by {min(off):+.0%} to {max(off):+.0%}" if off else ""
        yield f"One law over all dense configurations has a mean |error| of {chart.law_error:.4f} nats{differs}."


def _onset_row(onset: Onset) -> dict[str, Any]:
    return {
        "parameters": onset.n,
        "tokens per parameter, most": onset.most,
        "within 10% from": onset.since,
        "wholly outside at the most": len(onset.outside),
        "said": onset.said,
    }


def _row(cell: Cell) -> dict[str, Any]:
    return {
        **cell.row,
        "inside": "yes" if _inside(cell) else "no, wholly outside" if _outside(cell) else "open",
        "N_avg": cell.pair.n_avg,
        "N of partner": cell.pair.n_partner,
        "tokens": float(cell.pair.sparse["D"][0]),
        "loss sparse": float(cell.pair.sparse["loss"].mean()),
        "loss dense": float(cell.pair.partner["loss"].mean()),
        **cells(cell.difference, "difference", "its low", "its high"),
        "dL/dlog N": cell.slope.value if cell.slope else None,
        "± of it": cell.slope.se if cell.slope else None,
        "that of one law": cell.law_slope,
        "dense configurations it counts, by nearness": cell.slope.weight if cell.slope else None,
    }
