"""Engine: the interface to weights, moments and gradients for trainer, pruner, checkpoints and evaluation."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import nn

MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's state of one weight

T = TypeVar("T")


@dataclass(frozen=True)
class Fragment:
    """The part of a parameter whose fp32 master this rank holds. All tensors are views and can be written in place.

    Attributes:
        name: parameter name.
        offset: index of the first element in the flattened parameter.
        master: (n,) fp32.
        moments: one (n,) tensor for each name in MOMENTS.
    """

    name: str
    offset: int
    master: torch.Tensor
    moments: dict[str, torch.Tensor]


class Engine(Protocol):
    """A model with AdamW on this rank, whose fp32 masters and moments may be sharded over the ranks.

    One update is `accumulation` rounds of `logits`, `backward` and `step`; the gradient is the mean over rounds and
    ranks, and the last `step` of them clips it and moves the weights.
    """

    @property
    def module(self) -> nn.Module:
        """The model. At ZeRO stage 3 its parameters are empty unless gathered."""

    @property
    def device(self) -> torch.device: ...

    @property
    def stage(self) -> int:
        """The ZeRO stage."""

    @property
    def sharded(self) -> bool:
        """Whether the ranks hold different masters, so that results per rank must be reduced."""

    @property
    def skipped_steps(self) -> int:
        """Number of updates skipped because a gradient was not finite."""

    def logits(self, tokens: torch.Tensor, positions: torch.Tensor | None = None) -> torch.Tensor:
        """(B, T) token ids -> (B, T, V). positions: (B, T), in the document of each token; None counts from 0.

        Collective at stage 3.
        """

    def backward(self, loss: torch.Tensor) -> None:
        """Adds the gradient of a scalar loss of this rank. Collective."""

    def step(self) -> None:
        """Ends a round; after the last round, makes the update. Collective."""

    def grad_norm(self) -> float | None:
        """L2 norm of the last update's gradient before clipping; None if unknown (stage 0)."""

    def set_lr(self, lr: float) -> None: ...

    def updates(self) -> int:
        """AdamW's own count of updates, which it uses for bias correction."""

    def set_updates(self, count: int) -> None: ...

    def shapes(self) -> dict[str, torch.Size]:
        """The full shape of every parameter, by name, in the order of the model."""

    def fragments(self) -> list[Fragment]:
        """This rank's fragments, in the order of the model's parameters. Every rank holds all of them at stage 0."""

    def gathered(self, parameter: nn.Parameter) -> AbstractContextManager[None]:
        """Gathers a whole parameter for reading and writing. Collective."""

    def cast_masters(self) -> None:
        """Copies the masters to the module's weights, as an update does at its end. Collective."""

    def reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sums a tensor in place over ranks with different masters, and returns it. Collective."""

    def exchange(self, items: list[T]) -> list[T]:
        """The items of all ranks with different masters, in rank order. Collective."""

    def close(self) -> None:
        """Releases its memory, so that the same process can make another engine."""
