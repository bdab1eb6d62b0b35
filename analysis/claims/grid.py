"""Beyond the paper (g): does the law, fitted at one schedule, hold over the whole schedule grid?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.compare import LAW_TO_GRID
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Errors, Measure, cells
from analysis.fits.outcome import interval
from analysis.laws.law import Array
from analysis.laws.registry import LAWS, N_AVG
from analysis.tables.data import Tables
from analysis.tables.schedules import schedule_name
from analysis.worlds.world import World
from repro import studies

MARGIN = 0.016  # nats: the paper's mean error, where it claims the law
LEVEL = 0.95
SAME_COUNT = 0.05  # spread of log N_avg up to which runs of the iso-average study count as equal

CLAIM = "g, ours"
STATEMENT = "The law in N_avg, fitted at 25/50/25, predicts every schedule of the grid."
PAPER = "claimed at the best schedule only; within one budget N_avg·D is the same for all schedules"
RULE = f"""
Fitted on the law set, the law predicts every run of the grid that it wasn't fitted to. Its residual (predicted − actual) in a cell, a
sparsity and a schedule, is the mean over sizes and budgets at seed 0. Intervals account for the noise of the seeds and of the fit (parametric
bootstrap, its standard deviation times Student's t), simultaneous at {LEVEL:.0%} over all cells (Bonferroni). Holds in a cell: the
interval lies within ±{MARGIN} nats, the paper's mean error where it claims the law. Leaves it: the interval lies wholly outside.
Reproduced: it holds in every cell. Not reproduced: it leaves in any. Otherwise inconclusive.
""".strip().replace("\n", " ")

TRUE = "the law in N_avg is the truth at every schedule"
FALSE = f"the same, but in one cell, at the highest sparsity and the latest end, runs end {MARGIN} nats over it"
true_world = World.losses  # mean losses of TRUE


@dataclass(frozen=True)
class ScheduleResidual:
    """One sparsity and schedule. `residual`: mean predicted - actual of its `runs`, nats."""

    sparsity: float
    start: float
    end: float
    runs: int
    residual: Measure

    @property
    def says(self) -> str:
        if self.residual.outside(-MARGIN, MARGIN):
            return "leaves"
        return "holds" if self.residual.inside(-MARGIN, MARGIN) else "open"

    def row(self) -> dict[str, Any]:
        place = {"sparsity": self.sparsity, "schedule": schedule_name(self.start, self.end), "runs": self.runs}
        return place | cells(self.residual, "residual") | {f"within ±{MARGIN}": self.says}


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (g), which the paper doesn't make."""
    found = schedule_residuals(evidence)
    worst = max(found, key=lambda c: abs(c.residual.value), default=None)
    which = f" ({worst.sparsity:.0%}, {schedule_name(worst.start, worst.end)})" if worst else ""
    details = {
        "Residual by schedule, predicted − actual, nats": (c.row() for c in found),
        "Drift of the residual, nats: by ten points of sparsity, by a doubling of size or of tokens": _drifts(evidence),
        "Mean residual of the N_avg law by sparsity, size and budget, nats": _levels(evidence),
        "Iso-average study: equal N_avg and D, different sparsity and timing; loss in nats": iso_average(evidence),
    }
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        f"largest residual of a cell{which}, nats", rule(evidence), worst.residual if worst else None, details
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    found = schedule_residuals(evidence)
    if not found:
        reason = evidence.comparison.settings[LAW_TO_GRID].reason
        return "inconclusive", reason or "the sweep holds no schedule grid beside the law set"
    if all(c.residual.low is None for c in found):
        return "inconclusive", evidence.noise.no_interval("a residual")
    leaving, holding = ([c for c in found if c.says == word] for word in ("leaves", "holds"))
    if leaving:
        late = sum(c.end > 0.75 + 1e-6 for c in leaving)
        why = f"the residual leaves ±{MARGIN} in {len(leaving)} of {len(found)} cells, {late} of them with pruning past 75% of compute"
        return "not reproduced", why
    if len(holding) == len(found):
        return "reproduced", f"the residual stays within ±{MARGIN} in all {len(found)} cells"
    return "inconclusive", f"shown to stay within ±{MARGIN}: {len(holding)} of {len(found)} cells; to leave: none"


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    fitted = set(world.tables.law_set["recipe"])
    runs = [run for run in world.tables.grid.rows() if run["recipe"] not in fitted]
    worst = max((key_of(run) for run in runs), key=lambda key: (key[0], key[2], key[1]), default=None)
    return world.changed({run["recipe"]: run["loss"] + MARGIN for run in runs if key_of(run) == worst})


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: none, as one seed of each run is read."""
    return set()


def key_of(run: dict[str, Any]) -> tuple[float, float, float]:
    """Sparsity, start and end of a run's schedule, so that equal ones are one."""
    sparsity, start, end = (round(float(run[name]), 6) for name in ("sparsity", "start", "end"))
    return sparsity, start, end


def schedule_residuals(evidence: Evidence) -> list[ScheduleResidual]:
    """Every sparsity and schedule of the grid to which the law wasn't fitted."""
    errors = evidence.comparison.settings[LAW_TO_GRID].errors.get(N_AVG.name)
    if errors is None:
        return []
    keys = [key_of(run) for run in errors.runs.rows()]
    levels = sorted(set(keys))
    noise = evidence.noise.overall
    found = []
    for key in levels:
        own = np.array([k == key for k in keys])
        residual, ends = float(errors.residual[own].mean()), None
        if errors.draws is not None and noise is not None:
            half = noise.quantile((1 - LEVEL) / 2 / len(levels)) * float(errors.draws[:, own].mean(axis=1).std())
            ends = interval(residual - half, residual + half)
        found.append(ScheduleResidual(*key, int(own.sum()), Measure(residual, *(ends or ()))))
    return found


def _drifts(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Whether a law that fits on average drifts along sparsity, size or tokens."""
    for setting in evidence.settings.values():
        for errors in setting.errors.values():
            row: dict[str, Any] = {"law": LAWS[errors.law].label, "setting": setting.name}
            for name, along in _directions(errors).items():
                slope = errors.drift(along) if np.ptp(along) else None
                row |= cells(slope, name, f"{name}: low", f"{name}: high")
            yield row


def _levels(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for setting in evidence.settings.values():
        if (own := setting.errors.get(N_AVG.name)) is None:
            continue
        for column in ("sparsity", "size", "budget"):
            for level in dict.fromkeys(own.runs[column]):
                chosen = own.runs[column] == level
                of = f"{column} {level:.0%}" if column == "sparsity" else f"{column} {level}"
                row = {"setting": setting.name, "of": of, "runs": int(chosen.sum())}
                yield row | cells(own.mean(chosen), "mean residual")


def _directions(errors: Errors) -> dict[str, np.ndarray]:
    return {
        "sparsity": 10 * errors.runs["sparsity"],
        "size": np.log2(errors.runs["N_prunable"]),
        "tokens": np.log2(errors.runs["D"]),
    }


def iso_average(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Runs of equal N_avg and D, for which any law in N_avg predicts the same loss."""
    runs = evidence.tables.selected(lambda r: r.serves(studies.ISO_AVERAGE) & r.sparse)
    sd = evidence.noise.overall
    keys = [(r["dense_tokens"], r["size"], r["budget"], r["seed"]) for r in runs.rows()]
    for key in sorted(set(keys)):
        family = runs.where(np.array([k == key for k in keys]))
        if len(family) < 2 or np.ptp(np.log(family["N_avg"])) > SAME_COUNT:
            continue
        spread = float(np.ptp(family["loss"]))
        chance = None if sd is None else float(stats.studentized_range.sf(spread / sd.sd, len(family), sd.dof))
        for run in sorted(family.rows(), key=lambda r: r["sparsity"]):
            yield {
                "family": f"{run['size']} {run['budget']} seed {run['seed']:.0f}",
                "sparsity": run["sparsity"],
                "schedule": schedule_name(run["start"], run["end"]),
                **{name: run[name] for name in ("N_avg", "N_final", "D", "loss")},
                "above the least": run["loss"] - float(family["loss"].min()),
                "p of such a spread by luck": chance,
            }
