"""Where DeepSpeed's ZeRO keeps the fp32 masters of a rank: the flat buffers, and which parameters lie in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as dist

MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's state of one weight


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

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """Master and moments, by their keys in checkpoints."""
        return {"master": self.master, **self.moments}


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


def stage_of(optimizer: Any) -> int | None:
    """The stage of one of DeepSpeed's ZeRO optimizers: 3, or 2 for 1 and 2, which lie alike; None of anything else."""
    if hasattr(optimizer, "fp32_partitioned_groups_flat"):
        return 3
    return 2 if hasattr(optimizer, "single_partition_of_fp32_groups") else None


def flats(optimizer: Any) -> list[torch.Tensor]:
    """The flat masters that a ZeRO optimizer of stage 1 to 3 updates on this rank."""
    if stage_of(optimizer) == 3:
        return list(optimizer.fp32_partitioned_groups_flat)
    return list(optimizer.single_partition_of_fp32_groups)


def place(optimizer: Any, name: str, parameter: Any) -> tuple[int, Part]:
    """Where this rank's master of a parameter lies: the index in `flats`, and its range, which may be empty."""
    if stage_of(optimizer) == 3:
        index, start, width = optimizer.grad_position[optimizer.get_param_id(parameter)]
        offset = dist.get_rank(getattr(optimizer, "dp_process_group", None)) * width
        # The last rank's range is padded.
        return index, Part(name, offset, start, max(0, min(width, parameter.ds_numel - offset)))
    mapping = parameter._hp_mapping
    if mapping is None:
        return 0, Part(name, 0, 0, 0)
    held = mapping.hp_fragment_address
    return mapping.param_group_index, Part(name, mapping.lp_fragment_address.start, held.start, held.numel)


def joined(
    masters: list[torch.Tensor],
    state: Mapping[Any, Mapping[str, Any]],
    sizes: Sequence[int],
    placed: list[tuple[int, Part]],
) -> list[Flat]:
    """The flats of a rank.

    Args:
        masters: its buffers.
        state: AdamW's, by master.
        sizes: number of weights of each parameter of the model, in order.
        placed: of each parameter the index of its buffer, and its range there, which may be empty.
    """
    parts: list[list[Part]] = [[] for _ in masters]
    firsts: list[set[int]] = [set() for _ in masters]
    for (index, part), position in zip(placed, accumulate(sizes, initial=0), strict=False):
        if part.count:
            parts[index].append(part)
            firsts[index].add(position + part.offset - part.start)
    return [
        Flat(
            master.data.view(-1),
            {key: state[master][key].view(-1) for key in MOMENTS},
            tuple(own),
            first.pop() if len(first) == 1 else None,
        )
        for master, own, first in zip(masters, parts, firsts, strict=True)
    ]


@contextlib.contextmanager
def whole(parameter: Any, write: bool = False) -> Iterator[None]:
    """Gathers a parameter that stage 3 has partitioned, for reading, or for writing, too. Collective there."""
    if not hasattr(parameter, "ds_shape"):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0 if write else None):
        yield


def full_shape(parameter: Any) -> torch.Size:
    """The shape of a whole parameter, also where stage 3 has partitioned it."""
    return torch.Size(getattr(parameter, "ds_shape", parameter.shape))
