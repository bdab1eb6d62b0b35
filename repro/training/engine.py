"""Engine: the interface to weights, moments and gradients for trainer, pruner, checkpoints and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import nn

from repro.training.batch import Batch

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


@dataclass(frozen=True)
class Part:
    """A range of a parameter that lies in a `Flat`.

    Attributes:
        name: parameter name.
        offset: index of its first element in the flattened parameter.
        start: index of its first element in the flat.
        count: number of elements.
    """

    name: str
    offset: int
    start: int
    count: int


@dataclass(frozen=True)
class Flat:
    """A buffer of fp32 masters that AdamW updates as one tensor, and its parts, in the order of the model.

    Attributes:
        master: (n,) fp32, a view.
        moments: one (n,) tensor for each name in MOMENTS.
        parts: the parameters in it; what lies between or after them is padding.
        first: index of its first element among all parameters of the model, flattened in order; None if the flat isn't
            a contiguous range of them.
    """

    master: torch.Tensor
    moments: dict[str, torch.Tensor]
    parts: tuple[Part, ...]
    first: int | None

    @property
    def fragments(self) -> list[Fragment]:
        return [
            Fragment(
                part.name,
                part.offset,
                self.master.narrow(0, part.start, part.count),
                {key: moment.narrow(0, part.start, part.count) for key, moment in self.moments.items()},
            )
            for part in self.parts
        ]


class Engine(Protocol):
    """A model with AdamW on this rank, whose fp32 masters and moments may be sharded over the ranks.

    One update is `accumulation` rounds of `losses`, `backward` and `step`. The gradient is the mean over rounds and
    ranks; the last `step` masks it, clips it and moves the weights.
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

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of a batch's losses in nats, a scalar, and the loss of every token, (B, T); fp32, 0 where none is taken.

        Only the sum has a gradient. Collective at stage 3.
        """

    def backward(self, loss: torch.Tensor) -> None:
        """Adds the gradient of a scalar loss of this rank. Collective."""

    def step(self) -> None:
        """Ends a round; after the last round, makes the update. Collective."""

    def mask_gradients(self, kept: Sequence[torch.Tensor]) -> None:
        """From now on, zeroes some gradients before every update.

        Args:
            kept: for each of `flats`, packed bits (repro/pruning/masks.py), 1 where a gradient stays. They may change in place.
        """

    def gradients(self, update: Callable[[], object]) -> list[torch.Tensor]:
        """The gradients of an update that isn't made: for each of `flats` (n,) fp32, neither masked nor clipped. Collective.

        Weights, moments and AdamW's count stay what they are, and so does `grad_norm`.

        Args:
            update: makes all rounds of one update.

        Raises:
            FloatingPointError: a gradient is not finite, and the engine makes no such update.
        """

    def grad_norm(self) -> torch.Tensor:
        """L2 norm of the last update's masked gradient before clipping, of all ranks, a scalar on the device.

        Reading it waits for the device. Not finite if a gradient isn't; then neither are the weights.
        """

    def set_lr(self, lr: float) -> None: ...

    def updates(self) -> int:
        """AdamW's own count of updates, which it uses for bias correction."""

    def set_updates(self, count: int) -> None: ...

    def shapes(self) -> dict[str, torch.Size]:
        """The full shape of every parameter, by name, in the order of the model."""

    def flats(self) -> list[Flat]:
        """The buffers in which this rank holds masters. Every rank holds all of them at stage 0."""

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
