"""Engine: what the trainer, the pruner, checkpoints and evaluation ask of whatever holds weights, moments and gradients."""

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
    """The part of one parameter whose fp32 master this rank holds. All views, so writing in place is writing.

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
        """Whether the ranks hold different masters, so that what one finds in its own must be reduced."""

    @property
    def skipped_steps(self) -> int:
        """Updates that were left out because a gradient was not finite."""

    def logits(self, tokens: torch.Tensor, positions: torch.Tensor | None = None) -> torch.Tensor:
        """(B, T) token ids -> (B, T, V). positions: (B, T), in the document of each token; None counts from 0.

        Collective at stage 3.
        """

    def backward(self, loss: torch.Tensor) -> None:
        """Adds the gradient of a scalar loss of this rank. Collective."""

    def step(self) -> None:
        """Ends a round; the last round of an update makes it. Collective."""

    def grad_norm(self) -> float | None:
        """L2 norm of the last update's gradient before clipping; None where it isn't known (stage 0)."""

    def set_lr(self, lr: float) -> None: ...

    def updates(self) -> int:
        """Updates that AdamW has made: its own count, by which it corrects the bias of its moments."""

    def set_updates(self, count: int) -> None: ...

    def shapes(self) -> dict[str, torch.Size]:
        """The shape of every parameter, whole, by name, in the order of the model."""

    def fragments(self) -> list[Fragment]:
        """This rank's fragments, in the order of the model's parameters. Every rank holds all of them at stage 0."""

    def gathered(self, parameter: nn.Parameter) -> AbstractContextManager[None]:
        """Holds the whole of a parameter for reading and writing. Collective."""

    def cast_masters(self) -> None:
        """Casts the masters into the module's weights, as the end of an update does. Collective."""

    def reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sums a tensor in place over ranks that hold different masters, and returns it. Collective."""

    def exchange(self, items: list[T]) -> list[T]:
        """The items of all ranks that hold different masters, in the order of ranks. Collective."""

    def close(self) -> None:
        """Releases what it holds, so that the same process can make another."""
