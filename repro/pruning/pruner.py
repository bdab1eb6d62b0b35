"""Pruner: applies a schedule's events to an engine, and its masks between them.

At an event the removed weights are set to zero in the fp32 master, in both moments and in the module's weights. Between
events the engine multiplies the gradient by the mask before each update: removed weights don't contribute to the clipped
norm, and AdamW doesn't move them (their gradient, moments and decay are all zero). No weight needs to be zeroed again
until the next event.

Every rank keeps the masks of all weights, at one bit each, because it holds all of the module's weights at ZeRO stages 0
to 2; beside them, at one bit each, those of the masters that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from repro.pruning.masks import Masks, unpacked
from repro.pruning.picking import Extent, Keys, Picker, Ranking
from repro.pruning.scores import SCORES, Stretch
from repro.pruning.shares import bounded
from repro.spec import RunSpec
from repro.training.engine import Engine, Fragment
from repro.training.model import prunable


class Pruner:
    """The masks of one engine, and the operations that update and apply them.

    Args:
        engine: the weights and their moments.
        spec: the run; it has checked that schedule, score, distribution and structure are compatible.

    Attributes:
        parameters: the prunable parameters, by name.
        masks: their masks.
        total: number of prunable weights.
        nonzero: number of weights that the masks keep.
    """

    def __init__(self, engine: Engine, spec: RunSpec):
        self.engine, self.spec, self.schedule, self.how = engine, spec, spec.schedule, spec.pruning
        self.parameters = prunable(engine.module)
        shapes = engine.shapes()
        self.masks = Masks.all_kept({name: shapes[name] for name in self.parameters}, engine.device)
        self.sizes = self.masks.sizes
        self.total = self.nonzero = sum(self.sizes.values())
        self.scope = [n for n in self.sizes if self.how.prunes(n)]
        self.kept_always = self.total - sum(self.sizes[n] for n in self.scope)
        self._picker = Picker(engine, self.masks, whole=self.how.distribution == "global")

    def event(self, index: int) -> dict[str, int]:
        """Applies event `index`. Returns the weights left in each prunable tensor. Collective.

        Raises:
            FloatingPointError: a weight is NaN or infinite; the tensors are named, on every rank.
        """
        ranking = Ranking(self._keys, by_position=self.how.score == "random")
        everything = Masks.all_kept(self.masks.shapes, self.engine.device)
        for names, keep in self._targets(index):
            left = self._picker.pick(names, self.masks, keep, ranking, self.how.n_of_m)
            self.masks = self.masks.minus(everything.only(names)).plus(left)
        self.apply()
        return self.masks.counts()

    def apply(self) -> None:
        """Zeroes what the masks removed, in masters, moments, the module's weights and coming gradients. Collective."""
        flats = self.engine.flats()
        kept = [self.masks.gather(flat.parts, flat.master.numel(), others=True) for flat in flats]
        for flat, bits in zip(flats, kept, strict=True):
            mask = unpacked(bits, 0, flat.master.numel(), flat.master.dtype)
            for tensor in (flat.master, *flat.moments.values()):
                tensor.mul_(mask)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                with self.engine.gathered(parameter):
                    if parameter.numel():
                        parameter.data.mul_(self.masks.full(name, parameter.dtype))
        self.nonzero = sum(self.masks.counts().values())
        self.engine.mask_gradients(kept)

    def strays(self) -> int:
        """Number of removed weights that are not zero in this rank's masters; 0 unless something moved them."""
        moved = [((f.master != 0) & ~self.mask_of(f)).sum() for f in self._fragments()]
        return int(torch.stack(moved).sum()) if moved else 0

    def mask_of(self, f: Fragment) -> torch.Tensor:
        """(n,) bool, the mask of a fragment's master."""
        return self.masks.flat(f.name, f.offset, f.master.numel())

    # ---------------------------------------------------------------- inside

    def _fragments(self) -> list[Fragment]:
        return [f for f in self.engine.fragments() if f.name in self.sizes]

    def _keys(self, extent: Extent) -> Keys:
        """The scores of a range."""
        flat, score, seed = self.engine.flats()[extent.flat], SCORES[self.how.score], self.spec.seed
        weights, mean = extent.of(flat.master), extent.of(flat.moments["exp_avg"])
        return lambda a, b: score(Stretch(extent.position + a, weights[a:b], mean[a:b], seed))

    def _targets(self, index: int) -> Iterator[tuple[list[str], int]]:
        """Which tensors are ranked together, and how many of their weights stay."""
        target, there = self.schedule.kept(index, self.total) - self.kept_always, self.masks.counts()
        if self.how.distribution == "global":
            yield self.scope, target
            return
        # By rounding alone, one tensor could gain a weight where the whole loses some.
        parts = {name: self.sizes[name] for name in self.scope}
        for name, keep in bounded(parts, target, dict.fromkeys(parts, 0), there).items():
            yield [name], keep
