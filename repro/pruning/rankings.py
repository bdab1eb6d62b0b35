"""Rankings: the scores by which an event ranks the weights that stay, and those that come back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch

from repro.pruning.picking import Extent, Keys, Ranking
from repro.pruning.removals import Removals
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
