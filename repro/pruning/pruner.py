"""Pruner: applies a schedule's events to an engine, and its masks between them.

An event removes weights, returns removed ones, or does both at once at a constant count. Removed weights are set to zero
in the fp32 master, in both moments and in the module's weights. Between events the engine multiplies the gradient by the
mask before each update: removed weights don't contribute to the clipped norm, and AdamW doesn't move them (their
gradient, moments and decay are all zero). No weight needs to be zeroed again until the next event.

So a returned weight has zero moments. It begins at zero, or at a number drawn from the distribution of its initialisation
(`scores.normal`). The draw is a new one at each event, and not the run's own initialisation again: a magnitude removes what was
small, so that of the own initialisation mostly the small numbers would return.

Every rank keeps the masks of all weights, at one bit each, because it holds all of the module's weights at ZeRO stages 0
to 2; beside them, at one bit each, those of the masters that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from repro.pruning import scores
from repro.pruning.masks import Masks, unpacked
from repro.pruning.picking import Picker
from repro.pruning.rankings import Rankings, Removals
from repro.pruning.scores import key_of
from repro.pruning.select import stretch_length
from repro.pruning.shares import bounded
from repro.spec import RunSpec
from repro.training import masters
from repro.training.masters import Fragment
from repro.training.model import prunable, spread
from repro.training.zero import DeepSpeedEngine

Dense = Callable[[], list[torch.Tensor]]


class Pruner:
    """The masks of one engine, and the operations that update and apply them.

    Args:
        engine: the weights and their moments.
        spec: the run: its schedule says when weights are pruned or returned and how many stay, its seed is that of all
            draws; RunSpec has checked that all of it is compatible.

    Attributes:
        parameters: the prunable parameters, by name.
        masks: their masks.
        total: number of prunable weights.
        nonzero: number of weights that the masks keep.
        removals: when each weight was removed; None where nobody asks.
    """

    def __init__(self, engine: DeepSpeedEngine, spec: RunSpec):
        self.engine, self.spec, self.schedule, self.how = engine, spec, spec.schedule, spec.pruning
        self.parameters = prunable(engine.module)
        shapes = engine.shapes()
        self.masks = Masks.all_kept({name: shapes[name] for name in self.parameters}, engine.device)
        self.sizes = self.masks.sizes
        self.total = self.nonzero = sum(self.sizes.values())
        self.scope = [n for n in self.sizes if self.how.prunes(n)]
        self.kept_always = self.total - sum(self.sizes[n] for n in self.scope)
        self.removals = Removals(self.masks) if self.how.choose == "last" else None
        self._picker = Picker(engine, self.masks, whole=self.how.distribution == "global")

    def event(self, index: int, dense: Dense | None = None) -> dict[str, int]:
        """Applies event `index`. Returns the weights left in each prunable tensor. Collective.

        Args:
            dense: makes the unmasked gradients of the step's own batch at the weights before the event, for each of the
                engine's flats; asked for once, by events that return weights by gradient.

        Raises:
            FloatingPointError: a weight or a gradient is NaN or infinite; the tensors are named, on every rank.
        """
        before, rankings = self.masks, Rankings(self.engine, self.spec, index, dense, self.removals)
        everything = Masks.all_kept(before.shapes, self.engine.device)
        after = before  # nothing is changed until all is picked: taking the gradients may be left
        for names, there, target, moved in self._targets(index):
            back = moved + max(0, target - there)
            if target - back < there:
                ranking, groups = rankings.stay(moving=moved > 0), self.how.n_of_m
                left = self._picker.pick(names, before, target - back, ranking, groups)
                after = after.minus(everything.only(names)).plus(left)
            if back:
                gone = everything.minus(after).only(names)
                after = after.plus(self._picker.pick(names, gone, back, rankings.back()))
        self.masks, returned = after, after.minus(before)
        if self.removals is not None:
            self.removals.note(index, before.minus(after), returned)
        self.apply()
        if self.how.fill == "draw":
            self._fill(returned, index)
        return self.masks.counts()

    def apply(self) -> None:
        """Zeroes what the masks removed, in masters, moments, the module's weights and coming gradients. Collective."""
        flats = self.engine.flats
        kept = [self.masks.gather(flat.parts, flat.master.numel(), others=True) for flat in flats]
        for flat, bits in zip(flats, kept, strict=True):
            mask = unpacked(bits, 0, flat.master.numel(), flat.master.dtype)
            for tensor in (flat.master, *flat.moments.values()):
                tensor.mul_(mask)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                with masters.whole(parameter, write=True):
                    if parameter.numel():
                        parameter.data.mul_(self.masks.full(name, parameter.dtype))
        self.nonzero = sum(self.masks.counts().values())
        self.engine.mask_gradients(kept)

    def strays(self) -> int:
        """Number of removed weights that are not zero in this rank's masters; 0 unless something moved them."""
        moved = [((f.master != 0) & ~self.mask_of(f)).sum() for f in self._fragments()]
        return int(torch.stack(moved).sum()) if moved else 0

    def idle(self) -> int:
        """Number of weights that the masks keep and that are zero, of all ranks: they came back and nothing moves them.

        Where both what writes to a channel and what reads from it is zero, neither has a gradient. Collective.
        """
        zero = [((f.master == 0) & self.mask_of(f)).sum() for f in self._fragments()]
        count = torch.stack(zero).sum() if zero else torch.zeros((), dtype=torch.int64, device=self.engine.device)
        return int(self.engine.reduce(count))

    def mask_of(self, f: Fragment) -> torch.Tensor:
        """(n,) bool, the mask of a fragment's master."""
        return self.masks.flat(f.name, f.offset, f.master.numel())

    # ---------------------------------------------------------------- inside

    def _fragments(self) -> list[Fragment]:
        return [f for f in self.engine.fragments() if f.name in self.sizes]

    def _targets(self, index: int) -> Iterator[tuple[list[str], int, int, int]]:
        """Which tensors are ranked together, how many of their weights are there and are to be, and how many move."""
        counts, kept = self.masks.counts(), self.schedule.kept(index, self.total)
        there = {name: counts[name] for name in self.scope}
        in_all, target = sum(there.values()), kept - self.kept_always
        moved = self.schedule.moved(index, self.total) * target // max(1, kept)
        if self.how.distribution == "global":
            yield self.scope, in_all, target, moved
            return
        erdos_renyi = self.how.distribution == "erdos_renyi"
        parts = {name: sum(self.masks.shapes[name]) if erdos_renyi else self.sizes[name] for name in self.scope}
        nothing = dict.fromkeys(parts, 0)
        # By rounding alone, one tensor could gain a weight where the whole loses some.
        least, most = (nothing, there) if target <= in_all else (there, self.sizes)
        targets = bounded(parts, target, least, most)
        moves = bounded({name: count for name, count in there.items() if count}, moved, nothing, there)
        for name in self.scope:
            yield [name], there[name], targets[name], moves.get(name, 0)

    def _fill(self, returned: Masks, index: int) -> None:
        """Draws the weights that an event returned, as at initialisation. Collective."""
        key, step = key_of(self.spec.seed, index, "fill"), stretch_length(self.engine.device)
        for f in self._fragments():
            sd = spread(self.spec.model, f.name, returned.shapes[f.name])
            first = self._picker.position(f.name) + f.offset
            for a in range(0, f.master.numel(), step):
                part = f.master[a : a + step]
                drawn = scores.normal(first + a, len(part), key, part.device).to(part.dtype) * sd
                part.copy_(torch.where(returned.flat(f.name, f.offset + a, len(part)), drawn, part))
        self.engine.cast_masters()
