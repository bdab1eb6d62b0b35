"""Passes over a run's text: one update of the weights, and the held-out loss by block, so that runs can be compared in pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.distributed as dist

from repro.corpus import Corpus
from repro.corpus.packing import IGNORED
from repro.spec import RunSpec
from repro.store.run_folder import RunFailed
from repro.training.batch import Batch
from repro.training.zero import DeepSpeedEngine

Losses = tuple[torch.Tensor, torch.Tensor]  # their sum, and that of every token


def heldout(
    losses_of: Callable[[Batch], Losses],
    device: torch.device,
    text: Corpus,
    blocks: np.ndarray,
    micro_batch: int,
    rank: int = 0,
    world: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Loss and token count of every block; `world` ranks share the blocks. Collective unless this process is alone.

    Args:
        losses_of: a model's losses; its weights are those of the masks.
        device: of the model.
        text: the corpus of the blocks.
        blocks: (blocks, block_sequences, sequence + 1) token ids.
        micro_batch: sequences of a forward pass that are known to fit. On a CPU more at once are faster.

    Returns:
        (blocks,) mean loss in nats/token, and (blocks,) token counts.
    """
    at_once = micro_batch if device.type == "cuda" else max(micro_batch, 16)
    count, width, _ = blocks.shape
    sums = torch.zeros(2, count, dtype=torch.float64, device=device)  # of losses and of tokens; 0 of others' blocks
    # Stage 3 gathers weights in every forward pass, so all ranks must make the same number of passes.
    owned = range(rank, count + (-count % world), world)
    rows = np.concatenate([blocks[b % count] for b in owned])
    # Every pass has the same shape, so that a compiled model is compiled once: the last one begins again at the first row.
    places = np.arange(len(rows) + -len(rows) % at_once) % len(rows)
    by_row = []
    with torch.no_grad():
        for some in np.split(places, len(places) // at_once):
            batch = Batch.of(text, rows[some]).on(device)
            _, losses = losses_of(batch)
            by_row.append(torch.stack([losses.sum(1, dtype=torch.float64), (batch.targets != IGNORED).sum(1)]))
    of_rows = torch.cat(by_row, dim=1)[:, : len(rows)]
    for b, of_block in zip(owned, of_rows.split(width, dim=1), strict=True):
        if b < count:
            sums[:, b] = of_block.sum(1)
    if world > 1:
        dist.all_reduce(sums)
    return (sums[0] / sums[1]).cpu().numpy(), sums[1].cpu().numpy()


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
