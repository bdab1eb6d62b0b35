"""How a model is trained and evaluated."""

from __future__ import annotations

import math
from dataclasses import field
from functools import cache
from typing import Annotated, Literal

from repro.bounds import STEPS
from repro.errors import UserError
from repro.schedule import PruningSchedule
from repro.spec.identity import LATER, tag
from repro.strict import Above, Between, dataclass

DECAY = 0.2
LOG_SPAN = 100  # of the last log-spaced evaluation over the first
BATCH = 2**24  # maximum sequences of a step, or of a held-out block
LearningRates = Literal["cosine", "cosine_compute", "wsd"]
_WARMUP = (
    'length of the linear warm-up from 0: below 1 a share of the run (of its compute with "cosine_compute"), from 1 on a '
    "number of steps"
)


@dataclass
class OptimizerSpec:
    """AdamW and its learning rates."""

    lr: Annotated[float, Above(0), "peak learning rate"] = field(metadata=tag("lr"))
    batch: Annotated[int, Between(1, BATCH, "sequences"), "sequences per step"] = field(metadata=tag("b"))
    beta1: Annotated[float, Between(0, 1, "beta1", "[)"), "AdamW's decay of the first moment"] = 0.9
    beta2: Annotated[float, Between(0, 1, "beta2", "[)"), "AdamW's decay of the second moment"] = 0.95
    eps: Annotated[float, Between(0, 1, "eps", "()"), "AdamW's epsilon"] = 1e-8
    weight_decay: Annotated[
        float, Above(0, inclusive=True), "weight decay of all parameters, including norms and embeddings"
    ] = field(default=0.1, metadata=tag("wd"))
    clip: Annotated[float, Above(0), "global gradient norm to which larger gradients are clipped"] = 1.0
    warmup: Annotated[float, Above(0, inclusive=True), _WARMUP] = field(default=0.01, metadata=tag("warmup"))
    final_lr: Annotated[float, Between(0, 1, "of the peak"), "learning rate at the end, as a share of the peak"] = 0.1
    lr_schedule: Annotated[
        LearningRates,
        'learning-rate schedule after the warm-up: "cosine" (the paper) decays over the run\'s steps; "cosine_compute" '
        "decays over its effective compute, so that runs of one budget have equal learning rates until they prune; "
        '"wsd" stays at the peak, then decays linearly, so that runs of several budgets have equal learning rates '
        "until the first of them decays",
    ] = field(default="cosine", metadata=LATER | tag(""))
    decay: Annotated[
        float, Above(0), 'length of the decay phase of "wsd": below 1 a share of the run, from 1 on a number of steps'
    ] = field(default=DECAY, metadata=LATER)

    def __post_init__(self) -> None:
        for name, ok, expected in (
            ("warmup", self.warmup < 1 or _counts(self.warmup), "0 <= share < 1, or a whole number of steps"),
            ("decay", self.decay < 1 or _counts(self.decay), "0 < share < 1, or a whole number of steps"),
            ("decay", self.decay == DECAY or self.lr_schedule == "wsd", f"{DECAY:g}, unless lr_schedule is wsd"),
        ):
            if not ok:
                raise UserError("value out of range", key=name, found=getattr(self, name), expected=expected)

    def lr_at(self, step: int, schedule: PruningSchedule) -> float:
        """Learning rate of the update of `step` (0-based), in constant time."""
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
        """Lengths of the run, its warm-up and its decay: in steps, or for "cosine_compute" in dense steps of compute."""
        # A run's compute is the dense run's up to the rounding of its last step, so all runs of a budget agree.
        total = round(schedule.compute) if self.lr_schedule == "cosine_compute" else schedule.total_steps
        warm = int(self.warmup * total if self.warmup < 1 else self.warmup)
        if self.lr_schedule != "wsd":
            return total, warm, total - warm
        return total, warm, max(1, int(self.decay * total if self.decay < 1 else self.decay))


def _counts(steps: float) -> bool:
    return 1 <= steps <= STEPS and steps.is_integer()


@dataclass
class EvalSpec:
    """Held-out evaluation, on the same blocks for every run."""

    blocks: Annotated[int, Between(2, BATCH, "held-out blocks"), "blocks of held-out text, the same for every run"] = 64
    block_sequences: Annotated[int, Between(1, BATCH, "sequences"), "sequences per block"] = 8
    every: Annotated[
        int | None, Between(1, STEPS, "steps"), "steps between evaluations during training; null: only at the end"
    ] = None
    log_points: Annotated[
        int | None,
        Between(2, 1000, "evaluations"),
        f"evaluations during training at log-spaced steps, from a {LOG_SPAN}th of the run to its end; null: none",
    ] = field(default=None, metadata=LATER)

    def due(self, step: int, total: int) -> bool:
        """Whether a run of `total` steps is evaluated after the update of `step`."""
        return (self.every is not None and (step + 1) % self.every == 0) or step + 1 in self.log_spaced(total)

    def times(self, total: int) -> int:
        """How often a run of `total` steps is evaluated during training."""
        if self.every is None:
            return len(self.log_spaced(total))
        return total // self.every + sum(step % self.every != 0 for step in self.log_spaced(total))

    def log_spaced(self, total: int) -> frozenset[int]:
        """Numbers of updates, log-spaced, after which a run of `total` steps is evaluated."""
        return _log_spaced(self.log_points or 0, total)


@cache
def _log_spaced(points: int, total: int) -> frozenset[int]:
    return frozenset(max(1, round(total * LOG_SPAN ** (k / (points - 1) - 1))) for k in range(points))
