"""How a model is trained, pruned and evaluated."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

from repro.bounds import STEPS, within
from repro.errors import UserError
from repro.schedule import PruningSchedule, Shape
from repro.spec.identity import LATER

DECAY = 0.2
BATCH = 2**24  # most sequences of a step, or of a held-out block
Score = Literal["magnitude", "random", "magnitude_gradient"]
LearningRates = Literal["cosine", "cosine_compute", "wsd"]


@dataclass(frozen=True)
class OptimizerSpec:
    """AdamW and its learning rates.

    lr: peak. batch: sequences a step. weight_decay is on all parameters, norms and embeddings too. clip: global
    gradient norm. final_lr: share of the peak at the end.
    lr_schedule: after a linear warm-up from 0, "cosine" (the paper) falls over the run's own T steps;
    "cosine_compute" over its effective compute, so that runs of one budget have the same rates until they prune;
    "wsd" is stable at the peak, then falls in a line: runs of several budgets have the same rates until then.
    warmup, decay (of "wsd"): below 1 a share, rounded down, of T, or of the compute in dense steps; from 1 on a count.
    """

    lr: float
    batch: int
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0
    warmup: float = 0.01
    final_lr: float = 0.1
    lr_schedule: LearningRates = field(default="cosine", metadata=LATER)
    decay: float = field(default=DECAY, metadata=LATER)

    def __post_init__(self) -> None:
        for name, ok, expected in (
            ("lr", 0 < self.lr < math.inf, "more than 0, and finite"),
            ("batch", 1 <= self.batch <= BATCH, f"1 to {BATCH:,} sequences"),
            ("beta1", 0 <= self.beta1 < 1, "0 <= beta1 < 1"),
            ("beta2", 0 <= self.beta2 < 1, "0 <= beta2 < 1"),
            ("eps", 0 < self.eps < 1, "0 < eps < 1"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "0 or more, and finite"),
            ("clip", 0 < self.clip < math.inf, "more than 0, and finite"),
            ("warmup", 0 <= self.warmup < 1 or _counts(self.warmup), "0 <= share < 1, or a whole number of steps"),
            ("final_lr", 0 <= self.final_lr <= 1, "0 <= share <= 1"),
            ("decay", 0 < self.decay < 1 or _counts(self.decay), "0 < share < 1, or a whole number of steps"),
            ("decay", self.decay == DECAY or self.lr_schedule == "wsd", f"{DECAY:g}, unless lr_schedule is wsd"),
        ):
            if not ok:
                raise UserError("value out of range", key=name, found=getattr(self, name), expected=expected)

    def lr_at(self, step: int, schedule: PruningSchedule) -> float:
        """Learning rate of the update of `step` (0-based). At a cost that doesn't depend on the step."""
        done, total, warm, decay = float(step), *self.phases(schedule)
        if self.lr_schedule == "cosine_compute":
            done = schedule.compute_at(step)
        if done < warm:
            return self.lr * done / warm
        if self.lr_schedule == "wsd":
            fallen = max(0.0, (done - (total - decay)) / decay)
            return self.lr * (1 - (1 - self.final_lr) * fallen)
        progress = (done - warm) / max(1, total - warm)
        return self.lr * (self.final_lr + (1 - self.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))

    def phases(self, schedule: PruningSchedule) -> tuple[int, int, int]:
        """All of a run, its warm-up and its decay: in steps, or in dense steps of compute where rates go by that."""
        # A run's compute is the dense run's but for the rounding of its last step, so all runs of a budget agree.
        total = round(schedule.compute) if self.lr_schedule == "cosine_compute" else schedule.total_steps
        warm = int(self.warmup * total if self.warmup < 1 else self.warmup)
        if self.lr_schedule != "wsd":
            return total, warm, total - warm
        return total, warm, max(1, int(self.decay * total if self.decay < 1 else self.decay))


def _counts(steps: float) -> bool:
    return 1 <= steps <= STEPS and float(steps).is_integer()


@dataclass(frozen=True)
class PruningSpec:
    """What is pruned, when (fractions of effective compute) and by which score.

    sparsity: final share of the prunable weights removed. start, end: first and last event. interval: steps
    between events. shape: see PruningSchedule. score: "magnitude" (the paper), "random" or
    "magnitude_gradient" (pruning/scores.py). distribution: "global" (one threshold, the paper) or "uniform" (the
    same density in every tensor). structure: "unstructured" (the paper), or "2:4" and the like: of every 4
    neighbours in a row, 2 are left at the end. do_not_prune: names of linear layers that are left alone
    ("lm_head"); the others then lose so much more that N_t is the same.
    """

    sparsity: float = 0.0
    start: float = 0.25
    end: float = 0.75
    interval: int = 1
    shape: Shape = "dense"
    score: Score = "magnitude"
    distribution: Literal["global", "uniform"] = "global"
    structure: str = "unstructured"
    do_not_prune: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, m = self.n_of_m or (1, 2)
        if self.structure != "unstructured" and (self.n_of_m is None or not 1 <= n < m <= 64):
            raise UserError(
                "no such structure",
                key="structure",
                found=self.structure,
                expected='"unstructured", or "N:M" with 1 <= N < M <= 64, for example "2:4"',
            )

    @property
    def n_of_m(self) -> tuple[int, int] | None:
        """(N, M) of an N:M structure."""
        found = re.fullmatch(r"(\d+):(\d+)", self.structure)
        return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class EvalSpec:
    """Held-out evaluation: the same `blocks` blocks of `block_sequences` sequences for every run.

    every: steps between evaluations during training, null for at the end only.
    """

    blocks: int = 64
    block_sequences: int = 8
    every: int | None = None

    def __post_init__(self) -> None:
        within("every", self.every, 1, STEPS, "steps, or null")
        within("blocks", self.blocks, 2, BATCH, "held-out blocks")
        within("block_sequences", self.block_sequences, 1, BATCH, "sequences")

    def due(self, step: int) -> bool:
        """Whether there is an evaluation after the update of `step`."""
        return self.every is not None and (step + 1) % self.every == 0
