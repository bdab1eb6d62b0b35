"""Rankings: the scores by which an event ranks the weights that stay, and those that come back.

Removals say at which event each weight was removed last, so that the last removed can return first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch

from repro.pruning.masks import Masks, unpacked
from repro.pruning.picking import Extent, Keys, Ranking
from repro.pruning.scores import SCORES, Stretch, drawn, key_of, ordered
from repro.spec import RunSpec
from repro.training.zero import DeepSpeedEngine


class Rankings:
    """The rankings of one event.

    Args:
        engine: whose weights.
        spec: the run.
        event: the event's index.
        dense: makes the unmasked gradients, for each of the engine's flats; None where no event needs them.
        removals: when each weight was removed; None where no event needs it.
    """

    def __init__(
        self,
        engine: DeepSpeedEngine,
        spec: RunSpec,
        event: int,
        dense: Callable[[], list[torch.Tensor]] | None,
        removals: Removals | None,
    ):
        self.engine, self.spec, self.event, self._dense, self._removals = engine, spec, event, dense, removals

    def stay(self, *, moving: bool) -> Ranking:
        """Of the weights that are there. Masks that move drop the smallest, whatever score chose the first ones."""
        score, seed, flats = "magnitude" if moving else self.spec.pruning.score, self.spec.seed, self.engine.flats

        def keys(extent: Extent) -> Keys:
            weights, mean = extent.of(flats[extent.flat].master), extent.of(flats[extent.flat].moments["exp_avg"])
            return lambda a, b: SCORES[score](Stretch(extent.position + a, weights[a:b], mean[a:b], seed))

        return Ranking(keys, by_position=score == "random")

    def back(self) -> Ranking:
        """Of the weights that are not there: how the spec chooses those that return."""
        how = self.spec.pruning
        choose = how.choose if how.moves is None else how.moves.return_
        if choose == "gradient":
            gradients = self._gradients
            return Ranking(lambda extent: lambda a, b: ordered(extent.of(gradients[extent.flat])[a:b]))
        if choose == "last":
            if self._removals is None:
                raise ValueError("nobody noted when weights were removed")
            return Ranking(self._removals.keys)
        if choose == "position":  # equal keys: ties go to the first
            return Ranking(lambda extent: lambda a, b: torch.zeros(b - a, dtype=torch.int32, device=self.engine.device))
        key = key_of(self.spec.seed, self.event, "return")
        device = self.engine.device
        return Ranking(lambda extent: lambda a, b: drawn(extent.position + a, b - a, key, device), by_position=True)

    @cached_property
    def _gradients(self) -> list[torch.Tensor]:
        if self._dense is None:
            raise ValueError(f"event {self.event} returns weights by gradient, and is given none")
        return self._dense()


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

    def keys(self, extent: Extent) -> Keys:
        """Keys by which what was removed last comes first."""
        bits = [digit.gather(extent.parts, extent.count, others=False) for digit in self.digits]
        device = self._nothing.buffer.device

        def keys(a: int, b: int) -> torch.Tensor:
            found = torch.zeros(b - a, dtype=torch.int32, device=device)
            for place, packed in enumerate(bits):
                found += unpacked(packed, a, b - a, torch.int32) << place
            return found

        return keys
