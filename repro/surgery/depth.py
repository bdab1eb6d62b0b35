"""Depth pruning: scores of the unpruned model's blocks, the choice of the blocks to remove, in one shot, and their removal.

Sources: perplexity without a block and Taylor, "Shortened LLaMA" (arXiv 2402.02834); block influence, "ShortGPT" (arXiv
2403.03853); the contiguous window, "LLM-Streamline" (arXiv 2403.19135).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch.nn import functional as F

from repro.errors import UserError
from repro.surgery.calibrate import Progress, Replay, States, importance
from repro.surgery.net import Net
from repro.surgery.ranking import lowest


def loss_without(net: Net, tokens: torch.Tensor, progress: Progress = None) -> torch.Tensor:
    """The mean loss in nats per token of the model without each block, (layers,) float64."""
    replay = Replay(net, tokens)
    boundaries = replay.boundaries()
    losses = []
    for index in range(net.spec.layers):
        states = boundaries[index]
        for later in range(index + 1, net.spec.layers):
            replay.block(later)
            states = replay.forward(states)
        losses.append(replay.mean_loss(states))
        if progress:
            progress(f"without block {index + 1} of {net.spec.layers}: {losses[-1]:.4f} nats a token")
    return torch.tensor(losses, dtype=torch.float64)


def taylor(net: Net, tokens: torch.Tensor, progress: Progress = None) -> torch.Tensor:
    """The sum of |w g| over all parameters of each block, (layers,) float64."""
    found = torch.zeros(net.spec.layers, dtype=torch.float64)
    for index, values in importance(net, tokens, progress):
        found[index] = sum(float(value.sum(dtype=torch.float64)) for value in values.values())
    return found


def turn(net: Net, tokens: torch.Tensor, blocks: int) -> torch.Tensor:
    """1 - the mean cosine between hidden states before and after each `blocks` successive blocks, by the first of them.

    Of single blocks, it is ShortGPT's influence. (layers - blocks + 1,) float64.
    """
    boundaries = Replay(net, tokens).boundaries()
    pairs = zip(boundaries, boundaries[blocks:], strict=False)
    return torch.tensor([1 - _cosine(before, after) for before, after in pairs], dtype=torch.float64)


def lowest_blocks(scores: torch.Tensor, count: int, protect: tuple[int, int]) -> list[int]:
    """The `count` blocks with the lowest scores, ascending; of equal scores the later ones.

    Args:
        protect: how many of the first and of the last blocks stay whatever their scores.

    Raises:
        UserError: fewer blocks are left.
    """
    first, last = protect
    free = scores[first : len(scores) - last]
    if min(first, last) < 0 or count > len(free):
        message = "a rate that leaves no block but the protected ones"
        found = f"{count} of {len(scores)} blocks, with the first {first} and the last {last} protected"
        raise UserError(message, key="rate", found=found, expected=f"at most {max(0, len(free))} blocks")
    return [first + int(index) for index in lowest(free, count).nonzero().flatten()]


def without_blocks(net: Net, removed: Iterable[int]) -> Net:
    """The model without some blocks, whose numbers close up. Raises ValueError if a block is missing or none is left."""
    gone = set(removed)
    kept = [block for block in range(net.spec.layers) if block not in gone]
    if not kept or len(kept) + len(gone) != net.spec.layers:
        raise ValueError(f"blocks {sorted(gone)} of {net.spec.layers}")
    return net.rebuilt(replace(net.spec, layers=len(kept)), map(net.block, kept))


def usual_protection(layers: int) -> tuple[int, int]:
    """The first 4 and last 2 of 32 blocks, as in "Shortened LLaMA", in proportion: none of a model of few blocks."""
    return layers // 8, layers // 16


def _cosine(before: States, after: States) -> float:
    total, tokens = 0.0, 0
    for one, other in zip(before, after, strict=True):
        cosines = F.cosine_similarity(one.double(), other.double(), dim=-1)
        total, tokens = total + float(cosines.sum()), tokens + cosines.numel()
    return total / tokens
