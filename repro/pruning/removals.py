"""Removals: at which event each weight was removed last, so that the last removed can return first."""

from __future__ import annotations

from collections.abc import Callable

import torch

from repro.pruning.masks import Masks, unpacked
from repro.pruning.picking import Extent


class Removals:
    """One number per weight, 0 for one that is there and k + 1 for one that event k removed, in binary.

    Each binary digit is a mask: so the first 31 events take 5 bits a weight on every rank, and what a rank notes needs no
    others. Weights that one event removed have no order among themselves.

    Args:
        masks: any masks of the same tensors.

    Attributes:
        digits: the masks of the digits, the lowest first; as many as the events so far need.
    """

    def __init__(self, masks: Masks):
        self._nothing = masks.like(torch.zeros_like(masks.buffer))
        self.digits: list[Masks] = []

    def grow(self, events: int) -> None:
        """Makes room for the first so many events."""
        while len(self.digits) < events.bit_length():
            self.digits.append(self._nothing.like(self._nothing.buffer.clone()))

    def note(self, event: int, gone: Masks, back: Masks) -> None:
        """Notes what an event removed and what it returned."""
        self.grow(event + 1)
        for place, digit in enumerate(self.digits):
            digit.buffer &= ~back.buffer
            if (event + 1) >> place & 1:
                digit.buffer |= gone.buffer

    def removed(self) -> Masks:
        """What is removed."""
        found = self._nothing
        for digit in self.digits:
            found = found.plus(digit)
        return found

    def latest(self) -> int:
        """The largest number of any weight."""
        latest, among = 0, self.removed()
        for place, digit in reversed(list(enumerate(self.digits))):
            having = among.like(among.buffer & digit.buffer)
            if having.buffer.any():
                latest, among = latest + (1 << place), having
        return latest

    def keys(self, extent: Extent) -> Callable[[int, int], torch.Tensor]:
        """Keys by which what was removed last comes first."""
        bits = [digit.gather(extent.parts, extent.count, others=False) for digit in self.digits]
        device = self._nothing.buffer.device

        def keys(a: int, b: int) -> torch.Tensor:
            found = torch.zeros(b - a, dtype=torch.int32, device=device)
            for place, packed in enumerate(bits):
                found += unpacked(packed, a, b - a, torch.int32) << place
            return found

        return keys
