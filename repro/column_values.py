"""Values of columns that are not simply a field of the spec: null where a setting doesn't apply, and settings as text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repro.spec import ModelSpec, RunSpec, SurgerySpec  # pydantic, which reading a table does without


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
