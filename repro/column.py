"""Column: one column of the runs table; Trained: what is known of a trained run, from which columns are computed; and values of
columns that are not simply a field of the spec. No torch, no Ray."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from repro.spec import Life, RunSpec  # pydantic, which reading a table does without


import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repro.spec import ModelSpec, RunSpec, SurgerySpec  # pydantic, which reading a table does without

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


def unless_dense(value: Callable[[RunSpec], Any]) -> Callable[[RunSpec], Any]:
    """`value` for runs that prune, None for dense ones."""
    return lambda spec: None if spec.schedule.shape == "dense" else value(spec)


def of_surgery(value: Callable[[SurgerySpec, ModelSpec], Any]) -> Callable[[RunSpec], Any]:
    """`value` of the surgery and the model before it, None for runs without."""

    def of(spec: RunSpec) -> Any:
        return None if spec.surgery is None or spec.model_before is None else value(spec.surgery, spec.model_before)

    return of


def calibration(spec: RunSpec) -> str | None:
    """The text by which surgery judges weights: source, sequences x tokens, seed; None if it reads none."""
    text = None if spec.surgery is None else spec.surgery.calibration
    if text is None:
        return None
    return f"{spec.corpus.name}, training part, {text.sequences} x {text.tokens or spec.model.sequence} tokens, seed {text.seed}"


def if_returned(value: Callable[[RunSpec], Any]) -> Callable[[RunSpec], Any]:
    """`value` for runs in which weights come back, None for others."""
    return lambda spec: value(spec) if spec.schedule.returns else None


def pieces(spec: RunSpec) -> str | None:
    """[first step, density] of each piece of N(t) as JSON; None of shapes whose pieces follow from the steps."""
    schedule = spec.schedule
    if schedule.follows_from_steps:
        return None
    return json.dumps([*zip(schedule.densities.first_steps, schedule.densities.weights, strict=True)])


def moves(spec: RunSpec) -> str | None:
    """How the mask moves at a constant number of weights, in words; None if it doesn't."""
    moves = spec.pruning.moves
    if moves is None:
        return None
    how = "falling by cosine" if moves.decay == "cosine" else "each"
    return f"every {moves.every} steps until {moves.until:g} of compute, {moves.share:g} of the kept weights {how}"


def rope_scaling(spec: RunSpec) -> str | None:
    """Llama 3's scaling of the rotary embedding: its numbers, joined by commas; None: none."""
    scaling = spec.model.rope_scaling
    return None if scaling is None else ", ".join(f"{value:g}" for value in vars(scaling).values())
