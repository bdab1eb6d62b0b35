"""Claim (d): the learning rate and batch that are best for the dense run are best for the sparse run, or nearly so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.claims.regret import ERROR_RATE, MARGIN, largest_bounds, outcome_of
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Measure, cells
from analysis.findings.setting_lines import NAMES, Line, alike, lines
from analysis.laws.law import Array
from analysis.noise.spread import Spread, regret_bounds
from analysis.tables.data import Tables
from analysis.worlds.world import World

CLAIM = "d"
STATEMENT = "The learning rate and batch that are best for the dense run are best for the sparse run, or within .01 nats of the best."
PAPER = "lr 1.6e-3 and .5 M tokens are best or within .01 nats for dense and sparse runs of 162M (lr × 1/4, 4; batch × 1/4, 4)"
RULE = f"""
One factor is changed at a time around the tuned values. Of each factor (learning rate, batch) and each sparsity, the regret is the
sparse run's loss at the setting that is best for the dense run, less its loss at its own best: the largest difference to another
setting, and at least 0. The best setting is the one with the least mean loss over seeds; a difference is the mean of the differences at the seeds that both
settings have. Bounds come from the seeds' paired noise (Student's t), one-sided at {ERROR_RATE:.0%} over all comparisons (Bonferroni), the lower one also over the rival settings.
A factor whose best lies at the edge of what was tried, for the dense or for the sparse run, is inconclusive: the best isn't known.
Reproduced: both factors were varied, no best lies at an edge, and every upper bound is under {MARGIN} nats. Not reproduced: some
comparison without a best at an edge has a lower bound over {MARGIN}. Otherwise inconclusive. The dense run's best setting is taken as
measured; the interval doesn't account for the noise in that choice.
""".strip().replace("\n", " ")

TRUE = "a sparse run loses as much by each setting as the dense run did in this sweep"
FALSE = (
    f"the same, but at the highest sparsity the sparse run's best learning rate is another one, better by {MARGIN} nats"
)
true_world = World.losses  # mean losses of TRUE


@dataclass(frozen=True)
class Regret:
    """The regret of the dense line's best setting on a sparse line, nats."""

    dense: Line
    sparse: Line
    nats: Measure

    @property
    def at_edge(self) -> bool:
        return self.dense.at_edge or self.sparse.at_edge

    @property
    def outcome(self) -> Outcome:
        return outcome_of(None if self.at_edge else self.nats.interval)

    def row(self) -> dict[str, Any]:
        def said(line: Line) -> str:
            return f"{line.settings[line.best]:.3g}{' (at the edge)' if line.at_edge else ''}"

        return {
            "factor": NAMES[self.sparse.factor],
            "sparsity": self.sparse.sparsity,
            "settings": ", ".join(f"{s:.3g}" for s in self.sparse.settings),
            "dense best": said(self.dense),
            "sparse best": said(self.sparse),
            **cells(self.nats, "regret"),
            "verdict": self.outcome,
        }


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (d)."""
    found = list(regrets(evidence.tables, evidence.noise.paired))
    # A line with its best at an edge bounds nothing from above.
    bounds = None if any(r.at_edge for r in found) else largest_bounds([r.nats for r in found])
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "largest regret of the dense run's best setting, nats",
        rule(evidence),
        (max((r.nats.value for r in found), default=None), bounds),
        {
            "Regret of the dense run's best setting, nats": (r.row() for r in found),
            "Losses, nats": _losses(evidence.tables) if found else (),
        },
        _notes(found),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    found = list(regrets(evidence.tables, evidence.noise.paired))
    if not found:
        return "inconclusive", "the sweep has no three learning rates or batches of both a dense and a sparse run"
    if all(r.nats.low is None for r in found):
        return "inconclusive", evidence.noise.no_interval("a regret", paired=True)
    refuting = [r for r in found if r.outcome == "not reproduced"]
    edges = sorted({NAMES[r.sparse.factor] for r in found if r.at_edge})
    if refuting:
        return "not reproduced", "; ".join(
            f"at {r.sparse.sparsity:.0%} another {NAMES[r.sparse.factor]} is shown to be better by over {MARGIN}"
            for r in refuting
        )
    if edges:
        return "inconclusive", f"the best {' and '.join(edges)} lies at the edge of what was tried"
    within = [r for r in found if r.outcome == "reproduced"]
    if len(within) < len(found):
        return "inconclusive", f"regrets shown to be under {MARGIN}: {len(within)} of {len(found)}; over it: none"
    if {r.sparse.factor for r in found} != set(NAMES):
        return "inconclusive", "under the margin, but only one of learning rate and batch was varied"
    return "reproduced", f"all {len(found)} regrets are under {MARGIN}"


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    found = {(line.factor, line.sparsity): line for line in lines(world.tables)}
    of_rate = [line for (factor, sparsity), line in found.items() if factor == "lr" and sparsity]
    dense = found.get(("lr", 0.0))
    if not of_rate or dense is None:
        return world.losses()
    line = max(of_rate, key=lambda own: own.sparsity)
    if not alike(line, dense):
        return world.losses()
    # A neighbour that isn't at the edge of what was tried, where there is one.
    others = [i for i in range(len(line.runs)) if i != dense.best]
    rival = min(others, key=lambda i: (i in (0, len(line.runs) - 1), abs(i - dense.best)))
    return world.changed({line.runs["recipe"][rival]: float(line.losses[dense.best]) - MARGIN})


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: every setting of the sparse runs."""
    return {recipe for _, line in _compared(tables) for recipe in line.runs["recipe"]}


def regrets(tables: Tables, spread: Spread | None) -> Iterator[Regret]:
    """Every sparse line beside the dense line of its factor."""
    compared = _compared(tables)
    for base, line in compared:
        more, seeds = _differences(line, base.best)
        bounds = regret_bounds(more, seeds, more, seeds, spread, ERROR_RATE / len(compared))
        yield Regret(base, line, Measure(max(0.0, float(more.max())), *bounds))


def _compared(tables: Tables) -> list[tuple[Line, Line]]:
    """Dense and sparse lines of the same settings, where one other setting at least shares a seed with the dense best."""
    found = list(lines(tables))
    dense = {line.factor: line for line in found if line.sparsity == 0}
    beside = [(dense[line.factor], line) for line in found if line.sparsity and line.factor in dense]
    return [(base, line) for base, line in beside if alike(line, base) and len(_differences(line, base.best)[0])]


def _differences(line: Line, at: int) -> tuple[Array, Array]:
    """Loss at one setting less that at each other one: the mean over the seeds that both have, and how many these are."""
    own = line.by_seed[at]
    shared = [(other, sorted(own.keys() & other.keys())) for i, other in enumerate(line.by_seed) if i != at]
    known = [(float(np.mean([own[s] - other[s] for s in seeds])), len(seeds)) for other, seeds in shared if seeds]
    return np.array([nats for nats, _ in known]), np.array([count for _, count in known], dtype=float)


def _notes(found: list[Regret]) -> Iterator[str]:
    if found:
        counts = {int(count) for regret in found for line in (regret.dense, regret.sparse) for count in line.seeds}
        least, most = min(counts), max(counts)
        several = "one seed" if most == 1 else f"{least} to {most} seeds" if least < most else f"{most} seeds"
        yield f"Each setting was run with {several}; the noise is that of the base recipe."
    for regret in found:
        events = regret.sparse.runs["events"]
        if np.ptp(events) > 0:
            yield (
                f"At {regret.sparse.sparsity:.0%} the number of events isn't quite the same over {NAMES[regret.sparse.factor]}: "
                + ", ".join(f"{count:.0f}" for count in events)
                + "."
            )


def _losses(tables: Tables) -> Iterator[dict[str, Any]]:
    for line in lines(tables):
        for run, seeds, loss in zip(line.runs.rows(), line.seeds, line.losses, strict=True):
            yield {
                "factor": NAMES[line.factor],
                "sparsity": line.sparsity,
                "lr": run["lr"],
                "batch, tokens": run["batch_tokens"],
                "events": run["events"],
                "seeds": int(seeds),
                "loss": float(loss),
                "over the line's best": float(loss - line.losses.min()),
                "run": run["run_id"],
            }
