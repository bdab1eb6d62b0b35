"""Beyond the paper (g): does the law, fitted at one schedule, hold over the whole schedule grid?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from analysis.claims.verdict import Detail, Outcome, Stated, Verdict
from analysis.findings.compare import LAW_TO_GRID
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Errors
from analysis.fits.outcome import above, below, interval
from analysis.laws.law import Array
from analysis.laws.registry import LAWS, N_AVG
from analysis.tables.data import Tables
from analysis.tables.schedule_grid import schedule_name
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
    """One sparsity and schedule. `residual`: predicted - actual, nats; `low`, `high`: None where noise is unknown."""

    sparsity: float
    start: float
    end: float
    runs: int
    residual: float
    low: float | None
    high: float | None

    @property
    def says(self) -> str:
        own = interval(self.low, self.high)
        if above(own, MARGIN) or below(own, -MARGIN):
            return "leaves"
        return "holds" if above(own, -MARGIN) and below(own, MARGIN) else "open"

    def row(self) -> dict[str, Any]:
        return {
            "sparsity": self.sparsity,
            "schedule": schedule_name(self.start, self.end),
            "runs": self.runs,
            "residual": self.residual,
            "low": self.low,
            "high": self.high,
            f"within ±{MARGIN}": self.says,
        }


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (g), which the paper doesn't make."""
    found = cells(evidence)
    worst = max(found, key=lambda c: abs(c.residual), default=None)
    details = [
        Detail("Residual by schedule, predicted − actual, nats", tuple(c.row() for c in found)),
        *drifts(evidence),
        Detail(
            "Iso-average study: equal N_avg and D, different sparsity and timing; loss in nats",
            tuple(iso_average(evidence)),
        ),
    ]
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        f"largest residual of a cell ({worst.sparsity:.0%}, {schedule_name(worst.start, worst.end)}), nats"
        if worst
        else "largest residual of a cell, nats",
        _decide(found, evidence),
        (worst.residual if worst else None, interval(worst.low, worst.high) if worst else None),
        details,
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    return _decide(cells(evidence), evidence)


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    fitted = set(world.tables.law_set["recipe"])
    runs = [run for run in world.tables.grid.rows() if run["recipe"] not in fitted]
    worst = max((_key(run) for run in runs), key=lambda key: (key[0], key[2], key[1]), default=None)
    return world.changed({run["recipe"]: run["loss"] + MARGIN for run in runs if _key(run) == worst})


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: none, as one seed of each run is read."""
    return set()


def _key(run: dict[str, Any]) -> tuple[float, float, float]:
    """Sparsity, start and end."""
    sparsity, start, end = (round(float(run[name]), 6) for name in ("sparsity", "start", "end"))
    return sparsity, start, end


def _decide(found: list[ScheduleResidual], evidence: Evidence) -> tuple[Outcome, str]:
    if not found:
        reason = evidence.comparison.settings[LAW_TO_GRID].reason
        return "inconclusive", reason or "the sweep holds no schedule grid beside the law set"
    if all(c.low is None for c in found):
        return "inconclusive", evidence.noise.no_interval("a residual")
    leaving, holding = ([c for c in found if c.says == word] for word in ("leaves", "holds"))
    if leaving:
        late = sum(c.end > 0.75 + 1e-6 for c in leaving)
        return (
            "not reproduced",
            f"the residual leaves ±{MARGIN} in {len(leaving)} of {len(found)} cells, {late} of them with pruning past 75% of compute",
        )
    if len(holding) == len(found):
        return "reproduced", f"the residual stays within ±{MARGIN} in all {len(found)} cells"
    return "inconclusive", f"shown to stay within ±{MARGIN}: {len(holding)} of {len(found)} cells; to leave: none"


def cells(evidence: Evidence) -> list[ScheduleResidual]:
    """Every sparsity and schedule of the grid to which the law wasn't fitted."""
    errors = evidence.comparison.settings[LAW_TO_GRID].errors.get(N_AVG.name)
    if errors is None:
        return []
    keys = [_key(run) for run in errors.runs.rows()]
    levels = sorted(set(keys))
    noise = evidence.noise.overall
    found = []
    for key in levels:
        own = np.array([k == key for k in keys])
        residual, low, high = float(errors.residual[own].mean()), None, None
        if errors.draws is not None and noise is not None:
            half = noise.quantile((1 - LEVEL) / 2 / len(levels)) * float(errors.draws[:, own].mean(axis=1).std())
            low, high = interval(residual - half, residual + half) or (None, None)
        found.append(ScheduleResidual(key[0], key[1], key[2], int(own.sum()), residual, low, high))
    return found


def drifts(evidence: Evidence) -> Iterator[Detail]:
    """Whether a law that fits on average drifts along sparsity, size or tokens."""
    rows = []
    for setting in evidence.settings.values():
        for errors in setting.errors.values():
            row: dict[str, Any] = {"law": LAWS[errors.law].label, "setting": setting.name}
            for name, along in _directions(errors).items():
                if np.ptp(along) == 0:
                    row |= {name: None, f"{name}: low": None, f"{name}: high": None}
                    continue
                slope = errors.drift(along)
                row |= {name: slope.value, f"{name}: low": slope.low, f"{name}: high": slope.high}
            rows.append(row)
    yield Detail(
        "Drift of the residual, nats: by ten points of sparsity, by a doubling of size or of tokens", tuple(rows)
    )
    levels = []
    for setting in evidence.settings.values():
        if (own := setting.errors.get(N_AVG.name)) is None:
            continue
        for column in ("sparsity", "size", "budget"):
            for level in dict.fromkeys(own.runs[column]):
                chosen = own.runs[column] == level
                mean = own.mean(chosen)
                levels.append(
                    {
                        "setting": setting.name,
                        "of": f"{column} {level:.0%}" if column == "sparsity" else f"{column} {level}",
                        "runs": int(chosen.sum()),
                        "mean residual": mean.value,
                        "low": mean.low,
                        "high": mean.high,
                    }
                )
    yield Detail("Mean residual of the N_avg law by sparsity, size and budget, nats", tuple(levels))


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
                "N_avg": run["N_avg"],
                "N_final": run["N_final"],
                "D": run["D"],
                "loss": run["loss"],
                "above the least": run["loss"] - float(family["loss"].min()),
                "p of such a spread by luck": chance,
            }
