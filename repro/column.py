"""Column: one column of the runs table; and Trained: what is known of a trained run, from which columns are computed. No torch, no Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from repro.spec import Life, RunSpec  # pydantic, which reading a table does without

Part = Literal["label", "size", "setting", "window", "count", "result", "execution"]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What is known of a run once it is trained, from which its row is computed.

    Attributes:
        corpus_hash, unique_tokens: hash and size of the text that it was trained on.
        weight_steps: sum over steps of N_t. tokens: tokens fed. lr_wd_sum: sum over steps of lr * weight decay.
        loss_parent: held-out loss of the weights that it started from, after surgery; None after a random initialisation.
        loss_before: the same before surgery; None without surgery.
        loss, loss_se, loss_blocks: held-out loss, its standard error, and the loss of each block.
        loss_train: mean training loss over the last 1% of steps. All losses are in nats per token.
        seconds: wall time of the training loop, evaluation included. seconds_setup: wall time outside it.
        mfu, peak_memory: None if unknown; the memory in bytes.
        forked_from, forked_step: run whose checkpoint this one started from, and the steps taken over with it.
        idle: prunable weights that came back and are still zero; None if none came back.
    """

    spec: RunSpec
    corpus_hash: str
    unique_tokens: int
    weight_steps: int
    tokens: int
    lr_wd_sum: float
    loss: float
    loss_se: float
    loss_blocks: list[float]
    loss_train: float
    seconds: float
    seconds_setup: float
    mfu: float | None = None
    peak_memory: int | None = None
    workers: int = 1
    zero_stage: int = 1
    micro_batch: int = 1
    forked_from: str | None = None
    forked_step: int | None = None
    loss_parent: float | None = None
    loss_before: float | None = None
    idle: int | None = None
    device: str

    @property
    def n_avg(self) -> float:
        return self.weight_steps / self.spec.schedule.total_steps

    @property
    def life(self) -> Life:
        """The sums over its whole life, its own as they were measured."""
        return self.spec.life_before.then(self.spec.schedule.total_steps, self.weight_steps, self.spec.tokens_per_step)


@dataclass(frozen=True)
class Column:
    """One column of the runs table; any may be null.

    Attributes:
        name, type, unit, meaning: as in the schema.
        part: "label" names a run or a group of runs; "size" is a dimension of the model; "window" is when and how far a
            run prunes; "setting" is every other choice that bears on its loss; "count" follows from these; "result" is
            measured; "execution" is where, how and how fast it was trained.
        plan: computes its value from the spec alone; None if it is known only after training.
        run: computes its value from measurements; None if the value from the spec holds for the trained run as well, or the
            attribute of its name in Trained.
        added: whether tables of the same schema version may lack it; they are then read with nulls, which mean the same.
    """

    name: str
    type: Any
    unit: str
    meaning: str
    part: Part
    plan: Callable[[RunSpec], Any] | None = None
    run: Callable[[Trained], Any] | None = None
    added: bool = False
