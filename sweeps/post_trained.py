"""Runs after surgery, and their controls, made from the run that they start from. No torch."""

from __future__ import annotations

from dataclasses import replace

from repro.spec import DECAY, ModelStart, RunSpec, SurgerySpec
from sweeps.ids import percent, short


def curve(parent: RunSpec, surgery: SurgerySpec, *, steps: int, lr: float, warmup: int, evaluations: int) -> RunSpec:
    """A run from what surgery leaves of the weights that `parent` ends with, at a constant learning rate.

    Args:
        steps: its updates, with the parent's batch.
        lr: learning rate after `warmup` steps.
        evaluations: log-spaced, during training.
    """
    own = replace(
        parent,
        start=None,
        position=0,
        # "wsd" whose last step alone decays, and it is at the peak.
        optimizer=replace(parent.optimizer, lr=lr, warmup=float(warmup), lr_schedule="wsd", decay=1.0),
        dense_steps=steps,
        evaluation=replace(parent.evaluation, every=None, log_points=evaluations),
    )
    size = label(parent.size, surgery)
    if isinstance(parent.start, ModelStart):  # a public model, for which `parent` stands
        run = own.starting_at(parent.start, surgery)
    else:
        run = own.starting_from(parent, parent.schedule.total_steps, surgery)
    # A run that holds zeros gets the compute of so many dense steps, and these the tokens, to the nearest step that there is.
    dense_steps = max(1, round(steps * run.schedule.density_avg))
    return replace(run, run_id=_id(size, parent), size=size, dense_steps=dense_steps)


def decayed(run: RunSpec) -> RunSpec:
    """The same run with a learning rate that decays at its end."""
    return replace(run, run_id=f"{run.run_id}-decayed", optimizer=replace(run.optimizer, decay=DECAY))


def at_rate(run: RunSpec, lr: float) -> RunSpec:
    """The same run at another learning rate; itself if it is that."""
    if lr == run.optimizer.lr:
        return run
    return replace(run, run_id=f"{run.run_id}-lr{short(lr)}", optimizer=replace(run.optimizer, lr=lr))


def scratch(parent: RunSpec, surgery: SurgerySpec, steps: int, evaluations: int) -> RunSpec:
    """A run of the model that surgery leaves, from its initialisation, at the parent's learning rates for so many steps."""
    size = f"{label(parent.size, surgery)}-scratch"
    return replace(
        parent,
        run_id=_id(size, parent),
        size=size,
        model=surgery.model_after(parent.model),
        start=None,
        position=0,
        dense_steps=steps,
        evaluation=replace(parent.evaluation, every=None, log_points=evaluations),
    )


def label(size: str, surgery: SurgerySpec) -> str:
    """A size's label after surgery: 35k-wanda-2of4-r25, 35k-grow-width-x2; 35k-unpruned and 35k-ungrown of controls."""
    if not surgery.changes:
        return f"{size}-un{'grown' if surgery.grows else 'pruned'}"
    if surgery.grows:
        return f"{size}-{surgery.method}-x{surgery.factor}"
    structure = f"-{short(surgery.structure)}" if surgery.structure not in (None, "unstructured") else ""
    return f"{size}-{surgery.method}{structure}" + ("" if surgery.rate is None else f"-r{percent(surgery.rate)}")


def _id(size: str, parent: RunSpec) -> str:
    return f"{size}-{parent.budget}-seed{parent.seed}"
