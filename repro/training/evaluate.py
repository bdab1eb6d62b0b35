"""Held-out loss by block, so that runs can be compared in pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as dist

from repro.corpus import Corpus
from repro.corpus.packing import IGNORED
from repro.training.batch import Batch
from repro.training.model import Llama
from repro.training.zero import DeepSpeedEngine

Losses = tuple[torch.Tensor, torch.Tensor]  # their sum, and that of every token


def heldout(engine: DeepSpeedEngine, text: Corpus, blocks: np.ndarray, at_once: int) -> tuple[np.ndarray, np.ndarray]:
    """Loss and token count of every block; ranks share the blocks. Collective.

    Args:
        engine: the model; its weights are those of the masks.
        text: the corpus of the blocks.
        blocks: (blocks, block_sequences, sequence + 1) token ids.
        at_once: sequences per forward pass.

    Returns:
        (blocks,) mean loss in nats/token, and (blocks,) token counts.
    """
    rank, world = dist.get_rank(), dist.get_world_size()
    sums = _sums(engine.losses, engine.device, text, blocks, at_once, rank, world)
    if world > 1:
        dist.all_reduce(sums)
    return (sums[0] / sums[1]).cpu().numpy(), sums[1].cpu().numpy()


def alone(network: Llama, text: Corpus, blocks: np.ndarray, at_once: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of a model without an engine, by this process alone."""

    def losses(batch: Batch) -> Losses:
        found: Losses = network(batch.tokens, batch.positions, batch.targets, batch.documents)
        return found

    sums = _sums(losses, network.device, text, blocks, at_once, 0, 1)
    return (sums[0] / sums[1]).cpu().numpy(), sums[1].cpu().numpy()


def at_once(device: torch.device, micro_batch: int) -> int:
    """Sequences per forward pass. On a CPU more at once are faster; on a GPU only the micro-batch is known to fit."""
    return micro_batch if device.type == "cuda" else max(micro_batch, 16)


def _sums(
    losses_of: Callable[[Batch], Losses],
    device: torch.device,
    text: Corpus,
    blocks: np.ndarray,
    at_once: int,
    rank: int,
    world: int,
) -> torch.Tensor:
    """Sum of losses and number of tokens of the blocks of a rank, (2, blocks) float64; 0 of those of others."""
    count, width, _ = blocks.shape
    sums = torch.zeros(2, count, dtype=torch.float64, device=device)
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
    return sums
