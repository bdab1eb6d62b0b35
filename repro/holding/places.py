"""Where an optimizer keeps the weights that it updates on this rank, and which of those are removed.

Plain PyTorch and DDP update the parameters themselves; FSDP2 updates the local shard of each, a DTensor; DeepSpeed updates
fp32 masters, whole ones at ZeRO stage 0 in half precision and flat shards of them at stages 1 to 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from repro.errors import UserError
from repro.pruning.masks import Masks, packed, unpacked
from repro.training import masters
from repro.training.masters import Part


@dataclass(frozen=True)
class Place:
    """A tensor that the optimizer updates on this rank.

    Attributes:
        names: the masked parameters in it.
        owner: what the optimizer knows it by, and keeps its state by.
        kept: packed bits (repro/pruning/masks.py), 0 where a weight is removed.
    """

    names: tuple[str, ...]
    owner: torch.Tensor
    kept: torch.Tensor

    def zero(self, tensor: torch.Tensor) -> None:
        """Zeroes what is removed in a tensor laid out as the owner."""
        local = _local(tensor)
        local.masked_fill_(self._removed(local), 0)

    def strays(self) -> torch.Tensor:
        """How many removed weights are not zero to the bit, a scalar."""
        local = _local(self.owner.detach())
        return (((local != 0) | local.signbit()) & self._removed(local)).sum()

    def _removed(self, local: torch.Tensor) -> torch.Tensor:
        kept = self.kept if self.kept.device == local.device else self.kept.to(local.device)
        return ~unpacked(kept, 0, local.numel()).view(local.shape)


def optimizers(optimizer: Any) -> Iterator[Any]:
    """An optimizer and those that it wraps, outermost first: accelerate's, DeepSpeed's, torch's."""
    seen: list[Any] = []
    while optimizer is not None and not any(optimizer is one for one in seen):
        seen.append(optimizer)
        yield optimizer
        optimizer = getattr(optimizer, "optimizer", None)


def places_of(parameters: Mapping[str, nn.Parameter], bits: Masks, optimizer: Any) -> list[Place]:
    """Where this rank's optimizer keeps masked parameters.

    Raises:
        UserError: a wrapper whose masters, or a layout of DTensors whose shards, aren't known.
    """
    for one in optimizers(optimizer):
        if masters.stage_of(one) is not None:
            # The flat shards of ZeRO stages 1 to 3.
            return _gathered(masters.flats(one), [masters.place(one, *item) for item in parameters.items()], bits)
        if hasattr(one, "fp32_groups_flat"):
            return _flattened(parameters, bits, one)
        if hasattr(one, "fp32_groups"):
            return _copied(parameters, bits, one)
        if type(one).__module__.startswith("deepspeed.runtime"):
            raise UserError(
                "an optimizer whose copies of the weights aren't known",
                key="optimizer",
                found=type(one).__name__,
                expected="DeepSpeed's ZeRO 1 to 3, or its half precision at stage 0",
            )
    return [Place((name,), parameter, _own(bits, name, parameter)) for name, parameter in parameters.items()]


def is_sharded_tensor(parameter: torch.Tensor) -> bool:
    """Whether a parameter is FSDP2's, whose gradient arises elsewhere and is then put beside it."""
    return isinstance(parameter, DTensor)


def _local(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _own(bits: Masks, name: str, parameter: torch.Tensor) -> torch.Tensor:
    if not isinstance(parameter, DTensor):
        return bits.bits(name)
    if not all(type(one) in (Shard, Replicate) for one in parameter.placements):
        raise UserError(
            "an unknown layout of shards", key=name, found=str(parameter.placements), expected="Shard, Replicate"
        )
    shape, offset = compute_local_shape_and_global_offset(parameter.shape, parameter.device_mesh, parameter.placements)
    stretch = tuple(slice(first, first + size) for first, size in zip(offset, shape, strict=True))
    return packed(bits.full(name)[stretch].flatten())


def _flattened(parameters: Mapping[str, nn.Parameter], bits: Masks, wrapper: Any) -> list[Place]:
    """The whole masters of stage 0 with a fused optimizer, one flat buffer a group."""
    where: dict[int, tuple[int, int]] = {}
    for index, group in enumerate(wrapper.fp16_groups):
        starts = accumulate((one.numel() for one in group), initial=0)
        where |= {id(one): (index, begin) for one, begin in zip(group, starts, strict=False)}
    found = []
    for name, parameter in parameters.items():
        if id(parameter) in where:
            index, begin = where[id(parameter)]
            found.append((index, Part(name, 0, begin, parameter.numel())))
    return _gathered(list(wrapper.fp32_groups_flat), found, bits)


def _gathered(flats: list[torch.Tensor], found: list[tuple[int, Part]], bits: Masks) -> list[Place]:
    parts: list[list[Part]] = [[] for _ in flats]
    for index, part in found:
        if part.count:
            parts[index].append(part)
    return [
        Place(tuple(part.name for part in own), flat, bits.gather(own, flat.numel(), others=True))
        for flat, own in zip(flats, parts, strict=True)
        if own
    ]


def _copied(parameters: Mapping[str, nn.Parameter], bits: Masks, wrapper: Any) -> list[Place]:
    """The whole masters of stage 0, one for each parameter."""
    copies: dict[int, torch.Tensor] = {}
    for half, full in zip(wrapper.fp16_groups, wrapper.fp32_groups, strict=True):
        copies |= {id(one): master for one, master in zip(half, full, strict=True)}
    return [
        Place((name,), copies[id(parameter)], bits.bits(name))
        for name, parameter in parameters.items()
        if id(parameter) in copies
    ]
