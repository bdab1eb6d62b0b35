"""Masks with one bit per weight."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from functools import cache

import torch

from repro.training.masters import Part

# Eight bools are eight bytes of 0 or 1; viewed as one int64, this product moves bit 0 of byte i to bit 56 + i.
_GATHER_BITS = 0x0102040810204080


@cache
def _table(dtype: torch.dtype, device: torch.device, less: int = 0) -> torch.Tensor:
    """(256, 8): the bits of each byte, least significant first, as numbers of `dtype`, minus `less`."""
    bits = (torch.arange(256).unsqueeze(1) >> torch.arange(8)) & 1
    return (bits - less).to(dtype).to(device)


@cache
def _ones(device: torch.device) -> torch.Tensor:
    """(256,) int64: how many bits of each byte are set."""
    return _table(torch.int64, device).sum(1)


def packed(mask: torch.Tensor) -> torch.Tensor:
    """(n,) bool -> (ceil(n / 8),) uint8, the first weight in the least significant bit."""
    if mask.storage_offset() % 8 or not mask.is_contiguous():
        mask = mask.clone(memory_format=torch.contiguous_format)  # words of eight bytes need their alignment
    whole = mask.numel() // 8 * 8
    words = mask[:whole].view(torch.uint8).view(torch.int64) if whole else mask.new_zeros(0, dtype=torch.int64)
    bytes_ = ((words * _GATHER_BITS) >> 56).to(torch.uint8)
    if whole == mask.numel():
        return bytes_
    rest = torch.zeros(8, dtype=torch.uint8, device=mask.device)
    rest[: mask.numel() - whole] = mask[whole:].view(torch.uint8)
    return torch.cat([bytes_, ((rest.view(torch.int64) * _GATHER_BITS) >> 56).to(torch.uint8)])


def unpacked(
    bits: torch.Tensor, start: int, count: int, dtype: torch.dtype = torch.bool, less: int = 0
) -> torch.Tensor:
    """(count,) of `dtype`, 1 where the weight stays: entries [start, start + count) of packed `bits`.

    Args:
        less: what is subtracted from the ones and zeros.
    """
    first, last = start // 8, (start + count + 7) // 8
    made = (_by_rows if bits.device.type == "cpu" else _by_words)(bits[first:last], dtype, less)
    return made.narrow(0, start - 8 * first, count)


def _by_rows(bits: torch.Tensor, dtype: torch.dtype, less: int) -> torch.Tensor:
    """(8 n,) of `dtype` of (n,) uint8: eight numbers are looked up at once."""
    return _table(dtype, bits.device, less).index_select(0, bits.int()).view(-1)


def _by_words(bits: torch.Tensor, dtype: torch.dtype, less: int) -> torch.Tensor:
    """The same on a GPU, where looking up rows takes a hundred times as long as looking up eight bools as one word."""
    words = _table(torch.bool, bits.device).view(torch.int64).view(-1)
    made = words.index_select(0, bits.int()).view(torch.bool)
    if dtype == torch.bool:
        return made
    made = made.to(dtype)
    return made.sub_(less) if less else made


def _copy(source: torch.Tensor, at: int, target: torch.Tensor, start: int, count: int) -> None:
    """Sets bits [start, start + count) of `target` from those at `at` of `source`; neither need begin at a byte."""
    end, whole = start + count, 0
    if at % 8 == start % 8 == 0:
        whole = count // 8
        target[start // 8 :][:whole] = source[at // 8 :][:whole]
    if rest := count - 8 * whole:
        first, last = start // 8 + whole, (end + 7) // 8
        around = unpacked(target, 8 * first, 8 * (last - first)).clone()
        begin = start + 8 * whole - 8 * first
        around[begin : begin + rest] = unpacked(source, at + 8 * whole, rest)
        target[first:last] = packed(around)


class Masks:
    """One bit per weight of some tensors, by name; each tensor begins on a byte of one shared buffer.

    Args:
        shapes: shape of each tensor, in order.
        device: device of the bits.

    Attributes:
        sizes: number of weights of each tensor.
        buffer: (bytes,) uint8, all tensors concatenated; the bits after a tensor's last weight are 0.
    """

    def __init__(self, shapes: Mapping[str, torch.Size], device: torch.device):
        self.shapes = dict(shapes)
        self.sizes = {name: shape.numel() for name, shape in self.shapes.items()}
        self._at: dict[str, tuple[int, int]] = {}
        total = 0
        for name, size in self.sizes.items():
            self._at[name] = (total, (size + 7) // 8)
            total += (size + 7) // 8
        self.buffer = torch.zeros(total, dtype=torch.uint8, device=device)

    @classmethod
    def all_kept(cls, shapes: Mapping[str, torch.Size], device: torch.device) -> Masks:
        made = cls(shapes, device)
        made.buffer.fill_(255)
        for name, size in made.sizes.items():
            if size % 8:
                made.bits(name)[-1] = (1 << size % 8) - 1
        return made

    def like(self, buffer: torch.Tensor) -> Masks:
        """Masks of the same tensors with other bits."""
        made = copy(self)
        made.buffer = buffer
        return made

    def plus(self, other: Masks) -> Masks:
        """What either has."""
        return self.like(self.buffer | other.buffer)

    def minus(self, other: Masks) -> Masks:
        """What these masks have and others don't."""
        return self.like(self.buffer & ~other.buffer)

    def only(self, names: Collection[str]) -> Masks:
        """The same of some tensors, and nothing of the others."""
        made = self.like(self.buffer.clone())
        for name in self.sizes:
            if name not in names:
                made.bits(name).zero_()
        return made

    def bits(self, name: str) -> torch.Tensor:
        """(ceil(n / 8),) uint8, a view."""
        return self.buffer.narrow(0, *self._at[name])

    def flat(self, name: str, start: int, count: int, dtype: torch.dtype = torch.bool) -> torch.Tensor:
        """(count,) of `dtype`, entries [start, start + count) of the flattened mask."""
        return unpacked(self.bits(name), start, count, dtype)

    def full(self, name: str, dtype: torch.dtype = torch.bool) -> torch.Tensor:
        """The mask in its tensor's shape: True or 1 where the weight stays."""
        return unpacked(self.bits(name), 0, self.sizes[name], dtype).view(self.shapes[name])

    def gather(self, parts: Sequence[Part], count: int, *, others: bool) -> torch.Tensor:
        """Packed bits of `count` weights, of which `parts` are ranges.

        others: the bit of weights in no part or in a tensor without a mask.
        """
        made = torch.full(((count + 7) // 8,), 255 * others, dtype=torch.uint8, device=self.buffer.device)
        for part in parts:
            if part.name in self.sizes:
                _copy(self.bits(part.name), part.offset, made, part.start, part.count)
        return made

    def scatter(self, bits: torch.Tensor, parts: Sequence[Part]) -> None:
        """Sets `parts` from packed bits of the weights of which they are ranges."""
        for part in parts:
            _copy(bits, part.start, self.bits(part.name), part.offset, part.count)

    def counts(self) -> dict[str, int]:
        """Weights left in each tensor."""
        ones = _ones(self.buffer.device)
        sums = [ones.index_select(0, self.bits(name).int()).sum() for name in self.sizes]
        return dict(zip(self.sizes, torch.stack(sums).tolist(), strict=True))
