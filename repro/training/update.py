"""One update of the weights: forward and backward passes over the micro-batches of a rank's share of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist

from repro.spec import RunSpec
from repro.store.run_folder import RunFailed
from repro.training.batch import Batch
from repro.training.zero import DeepSpeedEngine


def update(
    spec: RunSpec, engine: DeepSpeedEngine, batches: Sequence[Batch], step: int, between: Callable[[], None]
) -> torch.Tensor:
    """Makes the update of a step. Collective.

    Args:
        spec: the run's spec.
        engine: its model; AdamW's learning rate is set.
        batches: this rank's micro-batches, in host memory.
        step: its number, for errors.
        between: called between two micro-batches. What it raises leaves the weights as they were.

    Returns:
        This rank's part of the mean loss, a scalar on the device.
    """
    # Every token of the global batch has equal weight; the engine averages over ranks and accumulation.
    rounds = dist.get_world_size() * len(batches)
    weight = rounds / _bearing(spec, batches, step, engine.device)
    total = torch.zeros((), device=engine.device)
    for number, batch in enumerate(batches):
        if number:
            between()
        loss, _ = engine.losses(batch.on(engine.device))
        loss = loss * weight
        engine.backward(loss)
        engine.step()
        total += loss.detach() / rounds
    return total


def _bearing(spec: RunSpec, batches: Sequence[Batch], step: int, device: torch.device) -> int | torch.Tensor:
    """Number of tokens of the whole batch that have a loss; the same on every rank."""
    if spec.corpus.packing == "concatenate":
        return spec.tokens_per_step
    mine = sum(batch.bearing for batch in batches)
    if dist.get_world_size() > 1:  # summed on the device, so that nobody waits; if there are none, the loss is NaN
        bearing = torch.tensor(mine, device=device)
        dist.all_reduce(bearing)
        return bearing
    if not mine:
        raise RunFailed(f"the loss is not finite: the batch of step {step} is all padding")
    return mine
