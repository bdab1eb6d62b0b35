"""Why an average: the Taylor argument of the paper's section on theory, as a computation.

A dense run's loss falls with its compute as L = (A / C)^alpha, in two regimes. One more step of a run with N_k active
parameters adds compute in proportion to N_k, so that the loss changes by

    dL_k = -alpha A^alpha C_k^(-alpha - 1) * 6 B N_k          (B tokens per step)

and the end is the sum. Where C_k^(-alpha - 1) hardly varies, sum N_k = T * N_avg is left. Two readings of C_k are
computed here: the compute that the run itself has spent so far, with which the sum is the dense curve read at the run's
total compute, and so the same for every schedule of one budget; and the compute of the dense run at the same step, with
which a weight that is removed early costs more than one that is removed late.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from analysis.laws.law import Array
from analysis.tables.data import Runs, Tables
from analysis.tables.schedules import schedule_of
from repro import studies
from repro.schedule import PruningSchedule

POINTS = 200  # a curve is averaged in this many windows of equal log compute, so that every regime has its say
SKIP = 0.01  # share of the steps that the learning rate warms up over: no law is meant there
LEAST = 0.05  # share of the points that each regime holds


@dataclass(frozen=True)
class TwoRegimes:
    """L = (A / C)^alpha before and after a break, continuous there.

    Attributes:
        break_flops: effective FLOPs at the break. break_loss: nats per token there.
        before, after: the exponents alpha.
        error: root mean square of log residuals.
        first, last: the compute between which it was fitted, FLOPs.
    """

    break_flops: float
    break_loss: float
    before: float
    after: float
    error: float
    first: float
    last: float

    def loss(self, flops: Array) -> Array:
        """Nats per token at `flops` of effective compute, (n,)."""
        far = np.log(flops / self.break_flops)
        return self.break_loss * np.exp(-np.where(far < 0, self.before, self.after) * far)

    def gain(self, flops: Array) -> Array:
        """-dL / dC = alpha A^alpha C^(-alpha - 1), nats per FLOP, (n,)."""
        alpha = np.where(flops < self.break_flops, self.before, self.after)
        return alpha * self.loss(flops) / flops


@dataclass(frozen=True)
class Prediction:
    """The predictions for one run beside its measured loss, nats per token.

    Attributes:
        run: its row. dense: the dense run of its family, whose curve is used.
        own: predicted with C_k the run's own compute; alike: with C_k the dense run's at the same step.
        measured: held-out loss less the dense run's. The predictions too are less the dense run's end.
    """

    run: dict[str, Any]
    dense: str
    own: float
    alike: float
    measured: float


@dataclass(frozen=True)
class Theory:
    """The dense curves' two regimes by run id, and the predictions."""

    regimes: dict[str, TwoRegimes]
    predictions: tuple[Prediction, ...]

    def agreement(self) -> Iterator[dict[str, Any]]:
        """By family and reading: mean |error| and rank correlation over its sparse runs."""
        families = sorted({(p.dense, p.run["size"], p.run["budget"]) for p in self.predictions})
        for dense, size, budget in families:
            own = [p for p in self.predictions if p.dense == dense]
            measured = np.array([p.measured for p in own])
            for reading, predicted in (
                ("C_k of the run itself", np.array([p.own for p in own])),
                ("C_k of the dense run at the same step", np.array([p.alike for p in own])),
            ):
                varies = len(own) > 2 and np.ptp(predicted) > 1e-3 and np.ptp(measured) > 0
                yield {
                    "family": f"{size} {budget}",
                    "reading": reading,
                    "sparse runs": len(own),
                    "mean |error|": float(np.abs(predicted - measured).mean()),
                    "rank correlation": float(stats.spearmanr(predicted, measured).statistic) if varies else None,
                    "largest predicted": float(predicted.max()),
                    "largest measured": float(measured.max()),
                }


def fit_regimes(flops: Array, loss: Array) -> TwoRegimes | None:
    """The continuous power law of two exponents through a curve, by least squares in log loss; None for a short curve.

    Args:
        flops: effective compute so far, (n,), rising.
        loss: nats per token, (n,).
    """
    x, y = _windows(np.log(flops), np.log(loss))
    edge = max(3, int(LEAST * len(x)))
    if len(x) < 2 * edge + 1:
        return None
    best: tuple[float, float, Array] | None = None
    for at in x[edge:-edge]:
        design = np.stack([np.ones_like(x), np.minimum(x - at, 0), np.maximum(x - at, 0)], axis=1)
        solution, _, _, _ = np.linalg.lstsq(design, y, rcond=None)
        squares = float(np.sum((design @ solution - y) ** 2))
        if best is None or squares < best[0]:
            best = squares, float(at), solution
    assert best is not None
    squares, at, (level, before, after) = best
    return TwoRegimes(
        float(np.exp(at)), float(np.exp(level)), -float(before), -float(after), float(np.sqrt(squares / len(x))),
        float(np.exp(x[0])), float(np.exp(x[-1])),
    )  # fmt: skip


def _windows(x: Array, y: Array) -> tuple[Array, Array]:
    """Means over windows of equal width in x; those without a point are left out."""
    which = np.minimum(((x - x[0]) / max(np.ptp(x), 1e-12) * POINTS).astype(int), POINTS - 1)
    held = np.unique(which)
    return (np.array([values[which == w].mean() for w in held]) for values in (x, y))  # type: ignore[return-value]


def sums(regimes: TwoRegimes, schedule: PruningSchedule, prunable: int, batch_tokens: int) -> tuple[float, float]:
    """The two predictions of the loss at the end of a schedule, nats per token: C_k its own, C_k the dense run's.

    The sum starts at the compute that the curve was fitted from. A step's change is the curve's own difference over
    the step, of which dL_k is the first term, so that few large steps give what many small ones do.
    """
    density = np.array([schedule.density(t) for t in range(schedule.total_steps)])
    step = 6.0 * batch_tokens * prunable
    own = regimes.loss(np.array([max(step * float(density.sum()), regimes.first)]))
    ends = np.maximum(step * np.arange(schedule.total_steps + 1), regimes.first)
    alike = regimes.loss(ends[:1]) + density @ np.diff(regimes.loss(ends))
    return float(own[0]), float(alike[0])


def explain(tables: Tables) -> Theory:
    """Fits the curve of each dense run of a family with sparse runs, and predicts those."""
    runs = tables.selected(lambda r: r.serves(studies.LAW, studies.SCHEDULES) & r.first_seed)
    regimes: dict[str, TwoRegimes] = {}
    predictions = []
    for dense in runs.where(~runs.sparse).rows():
        if (found := dense_regimes(tables, dense["run_id"])) is None:
            continue
        regimes[dense["run_id"]] = found
        for run in _family(runs, dense).rows():
            end = sums(found, schedule_of(dense), int(dense["N_prunable"]), int(dense["batch_tokens"]))
            own, alike = sums(found, schedule_of(run), int(run["N_prunable"]), int(run["batch_tokens"]))
            predictions.append(
                Prediction(run, dense["run_id"], own - end[0], alike - end[1], float(run["loss"] - dense["loss"]))
            )
    return Theory(regimes, tuple(predictions))


def dense_regimes(tables: Tables, run_id: str) -> TwoRegimes | None:
    """The two regimes of one run's training loss; None if its curve is too short."""
    step, flops, loss = tables.curve(run_id, "step", "effective_flops", "loss_train")
    if not len(step):
        return None
    kept = np.isfinite(loss) & (loss > 0) & (step > SKIP * step[-1])
    return fit_regimes(flops[kept], loss[kept]) if kept.sum() > 10 else None


def _family(runs: Runs, dense: dict[str, Any]) -> Runs:
    """The sparse runs of a dense run's shape, budget and recipe."""
    equal = ("size", "budget", "N_prunable", "dense_tokens", "batch_tokens", "lr")
    return runs.where(runs.sparse & np.logical_and.reduce([runs[name] == dense[name] for name in equal]))
