"""Gradients, just before AdamW uses them: masked and clipped, or only inspected."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from repro.pruning.masks import unpacked

Reduce = Callable[[torch.Tensor], torch.Tensor]


class Gradients:
    """The gradients of an AdamW, once an update and on whole flat buffers, when they lie beside the masters.

    Args:
        adamw: whose updates.
        masters: returns what it updates; the same tensors every time.
        reduce: sums a tensor over the ranks that hold different masters.
        clip: global norm to which larger gradients are scaled.
        device: of the norm.

    Attributes:
        kept: for each master packed bits, 1 where a gradient stays; none: all stay.
        norm: L2 norm of the last update's masked gradient before clipping, of all ranks, a scalar.
    """

    def __init__(
        self,
        adamw: torch.optim.Optimizer,
        masters: Callable[[], list[torch.Tensor]],
        reduce: Reduce,
        clip: float,
        device: torch.device,
    ):
        self._masters, self._reduce, self._clip = masters, reduce, clip
        self.kept: Sequence[torch.Tensor] = ()
        self.norm = torch.full((), math.nan, device=device)
        self._watching = False  # whether the update isn't to be made,
        self._seen: list[torch.Tensor] = []  # what its gradients are,
        self._set_aside: list[Any] = []  # and where DeepSpeed put them
        adamw.register_step_pre_hook(lambda *_: self._before())
        adamw.register_step_post_hook(lambda *_: self._after())

    def of(self, update: Callable[[], object]) -> list[torch.Tensor]:
        """The gradients of an update that isn't made: (n,) for each master, neither masked nor clipped.

        AdamW passes over tensors without a gradient, so weights, moments and the count of updates stay what they are.

        Args:
            update: makes the update.

        Raises:
            FloatingPointError: DeepSpeed made no update, because the gradient is not finite.
        """
        self._watching = True
        try:
            update()
        finally:
            self._watching = False
        seen, self._seen = self._seen, []
        if not seen:
            raise FloatingPointError("the gradient by which weights are to return is not finite")
        return seen

    # ---------------------------------------------------------------- inside

    def _before(self) -> None:
        gradients: list[torch.Tensor] = [master.grad for master in self._masters()]  # type: ignore[misc]
        if self._watching:
            self._seen = [gradient.detach().view(-1).clone() for gradient in gradients]
            self._set_aside = gradients
            for master in self._masters():
                master.grad = None
            return
        for gradient, bits in zip(gradients, self.kept, strict=bool(self.kept)):
            gradient.view(-1).mul_(unpacked(bits, 0, gradient.numel(), gradient.dtype))
        # Summed in float64, so that the norm doesn't depend on how the masters are sharded.
        norms = torch.stack(torch._foreach_norm(gradients, 2, torch.float64))
        self.norm = self._reduce(norms.square().sum()).sqrt().float()
        factor = self._clip / torch.clamp(self.norm + 1e-6, min=self._clip)
        torch._foreach_mul_(gradients, factor)

    def _after(self) -> None:
        """Called by AdamW at the end of an update: DeepSpeed clears gradients where it put them."""
        if self._set_aside:
            for master, gradient in zip(self._masters(), self._set_aside, strict=True):
                master.grad = gradient
            self._set_aside = []
