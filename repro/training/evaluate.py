"""Held-out loss by block, so that runs can be compared in pairs."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist
from torch.nn import functional as F

from repro.corpus import Corpus
from repro.corpus.packing import IGNORED
from repro.training.engine import Engine


def heldout(engine: Engine, text: Corpus, blocks: np.ndarray, at_once: int) -> tuple[np.ndarray, np.ndarray]:
    """Loss and token count of every block; ranks share the blocks. Collective.

    Args:
        engine: the model; its weights are those of the masks.
        text: the corpus of the blocks.
        blocks: (blocks, block_sequences, sequence + 1) token ids.
        at_once: sequences per forward pass.

    Returns:
        (blocks,) mean loss in nats/token, and (blocks,) token counts.
    """
    count, width, _ = blocks.shape
    sums = torch.zeros(2, count, dtype=torch.float64, device=engine.device)
    rank, world = dist.get_rank(), dist.get_world_size()
    # Stage 3 gathers weights in every forward pass, so all ranks must make the same number of passes.
    owned = range(rank, count + (-count % world), world)
    rows = np.concatenate([blocks[b % count] for b in owned])
    by_row = []
    with torch.no_grad():
        for first in range(0, len(rows), at_once):
            losses, labels = token_losses(engine, text, rows[first : first + at_once])
            by_row.append(torch.stack([losses.sum(1, dtype=torch.float64), (labels != IGNORED).sum(1)]))
    for b, of_block in zip(owned, torch.cat(by_row, dim=1).split(width, dim=1), strict=True):
        if b < count:
            sums[:, b] = of_block.sum(1)
    if world > 1:
        dist.all_reduce(sums)
    return (sums[0] / sums[1]).cpu().numpy(), sums[1].cpu().numpy()


def token_losses(engine: Engine, text: Corpus, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of every token of (B, sequence + 1) rows: ((B, sequence) fp32, (B, sequence) labels)."""
    targets = text.targets(rows)
    inputs, labels = (torch.from_numpy(a).to(engine.device) for a in (targets.inputs, targets.labels))
    # Positions that restart at each document also restrict attention to it: transformers derives its mask from them.
    packed = text.manifest.spec.packing == "documents"
    positions = torch.from_numpy(targets.positions).to(engine.device) if packed else None
    logits = engine.logits(inputs, positions)
    flat = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view(labels.shape), labels
