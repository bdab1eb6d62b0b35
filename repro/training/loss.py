"""Cross-entropy of a large vocabulary, computed in chunks of tokens so that the logits of a micro-batch never exist.

The gradient of the sum of all losses is computed together with the losses, chunk by chunk, while the chunk's logits are at
hand: nothing of the vocabulary's width is kept for the backward pass, and no logits are computed twice. That is possible
because every token has equal weight, so the backward pass only scales it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from repro.corpus.packing import IGNORED

CHUNK = 1 << 26  # logits at once: 268 MB in fp32, and matrix products of 2,097 rows at a vocabulary of 32,000


class Head(nn.Linear):
    """The LM head, (V, d), which returns losses where it is given labels."""

    def __init__(self, width: int, vocab: int):
        super().__init__(width, vocab, bias=False)

    def forward(self, hidden: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        """Logits, or losses.

        Args:
            hidden: (B, T, d).
            labels: (B, T) int64, IGNORED where no loss is taken; None: logits are wanted.

        Returns:
            (B, T, V) logits without labels. With them the sum of all losses, a scalar in fp32, and the loss of every
            token in nats, (B, T) fp32, 0 where it is ignored. Only the sum has a gradient.
        """
        if labels is None:
            return super().forward(hidden)
        flat = hidden.flatten(0, -2), self.weight, labels.flatten()
        total, losses = _Losses.apply(*flat) if torch.is_grad_enabled() else (None, _losses(*flat))
        return losses.sum() if total is None else total, losses.view(labels.shape)


class _Losses(torch.autograd.Function):
    """(tokens, d) hidden, (V, d) weight, (tokens,) labels -> sum of the losses, (tokens,) losses."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> Any:
        losses, of_hidden, of_weight = [], [], None
        for some, targets in _chunks(hidden, weight, labels):
            log, gone = _log_softmax(some, weight), (targets == IGNORED).unsqueeze(1)
            kept = targets.unsqueeze(1).masked_fill(gone, 0)
            picked = log.gather(1, kept)
            losses.append(picked.masked_fill(gone, 0).neg().squeeze(1))
            slope = log.exp_().scatter_(1, kept, picked.expm1()).to(weight.dtype)  # p, and p - 1 at the target
            # An ignored token's row is zeroed in what is multiplied, which is narrower than its logits.
            of_hidden.append((slope @ weight).masked_fill(gone, 0))
            part = (slope.t() @ some.masked_fill(gone, 0)).to(log.dtype)
            of_weight = part if of_weight is None else of_weight + part  # summed in fp32
        every = _joined(losses)
        ctx.save_for_backward(_joined(of_hidden), of_weight)
        ctx.mark_non_differentiable(every)
        return every.sum(), every

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor, _: torch.Tensor) -> Any:
        of_hidden, of_weight = ctx.saved_tensors
        # In fp32: a factor rounded to 16 bits would be off by the same .2% in every gradient.
        narrow = of_hidden.dtype
        return (of_hidden.to(slope.dtype) * slope).to(narrow), (of_weight * slope).to(narrow), None


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _losses(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return _joined(
        [
            F.nll_loss(_log_softmax(some, weight), targets, ignore_index=IGNORED, reduction="none")
            for some, targets in _chunks(hidden, weight, labels)
        ]
    )


def _chunks(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor
) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    tokens = max(1, CHUNK // weight.shape[0])
    return zip(hidden.split(tokens), labels.split(tokens), strict=True)


def _log_softmax(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(tokens, V) in fp32, or in float64 where the weights are."""
    logits = F.linear(hidden, weight)
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
