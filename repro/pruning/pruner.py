"""Pruner: applies a schedule's events to an engine, and its masks between them.

At an event the removed weights are set to zero in the fp32 master, in both moments and in the module's
weights. Between events the engine multiplies the gradient by the mask before each update: removed
weights don't contribute to the clipped norm, and AdamW doesn't move them (their gradient, moments and decay
are all zero). No weight needs to be zeroed again until the next event.

Every rank keeps the masks of all weights, at one bit each, because it holds all of the module's weights at ZeRO stages 0
to 2; beside them, at one bit each, those of the masters that it holds.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import torch
import torch.distributed as dist

from repro.pruning import select, structure
from repro.pruning.masks import Masks, packed, unpacked
from repro.pruning.scores import SCORES, Stretch
from repro.pruning.shares import shares
from repro.schedule import PruningSchedule
from repro.spec import PruningSpec
from repro.training.engine import Engine, Flat, Fragment, Part
from repro.training.model import prunable


class Pruner:
    """The masks of one engine, and the operations that update and apply them.

    Args:
        engine: the weights and their moments.
        schedule: when weights are pruned, and how many stay.
        spec: score, distribution, structure and unpruned layers; RunSpec has checked that they are compatible.
        seed: seed of random scores.

    Attributes:
        parameters: the prunable parameters, by name.
        masks: their masks.
        total: number of prunable weights.
        nonzero: number of weights that the masks keep.
    """

    def __init__(self, engine: Engine, schedule: PruningSchedule, spec: PruningSpec, seed: int):
        self.engine, self.schedule, self.spec, self.seed = engine, schedule, spec, seed
        self.parameters = prunable(engine.module)
        shapes = engine.shapes()
        self.masks = Masks.all_kept({name: shapes[name] for name in self.parameters}, engine.device)
        self.sizes = self.masks.sizes
        self.total = self.nonzero = sum(self.sizes.values())
        self.scope = [n for n in self.sizes if spec.prunes(n)]
        self.kept_always = self.total - sum(self.sizes[n] for n in self.scope)
        # One shard for each flat, where the weights of other tensors count as removed: a shard for each tensor takes a
        # GPU many more launches. Structures and random scores depend on positions among the prunable weights alone.
        self._flat = spec.distribution == "global" and spec.n_of_m is None and spec.score != "random"
        ordered = {name: shape.numel() for name, shape in shapes.items()} if self._flat else self.sizes
        self._begins = dict(zip(ordered, accumulate(ordered.values(), initial=0), strict=False))

    def event(self, index: int) -> dict[str, int]:
        """Applies event `index`. Returns the weights left in each prunable tensor. Collective.

        Raises:
            FloatingPointError: a weight is NaN or infinite; the tensors are named, on every rank.
        """
        target = self.schedule.kept(index, self.total) - self.kept_always
        if self.spec.distribution == "uniform":
            for name, keep in shares({n: self.sizes[n] for n in self.scope}, target).items():
                self._select([name], keep)
        else:
            self._select(self.scope, target)
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

    def _select(self, names: list[str], keep: int) -> None:
        """Keeps the `keep` weights with the highest scores over all `names`."""
        held = self._held(set(names))
        try:
            kept = self._kept([shard for shard, _ in held], keep)
        except select.NotFiniteError as error:
            raise FloatingPointError(f"{self._not_finite(names)}: {error}") from None
        found = Masks(self.masks.shapes, self.engine.device)
        for name in self.sizes:
            if name not in names and self._first:
                found.bits(name).copy_(self.masks.bits(name))
        for (_, parts), bits in zip(held, kept, strict=True):
            found.scatter(bits, parts)
        # Every weight's bit is set by one rank only, so the sum of the bytes is the union of the bits.
        self.engine.reduce(found.buffer)
        self.masks.buffer.copy_(found.buffer)

    def _held(self, names: set[str]) -> list[tuple[select.Shard, list[Part]]]:
        """Shards of this rank's weights of these tensors, each with the parts in it."""
        held = []
        for flat in self.engine.flats():
            parts = [part for part in flat.parts if part.name in names]
            if self._flat and flat.first is not None:
                bits = self.masks.gather(parts, flat.master.numel(), others=False)
                held.append((self._shard(flat.first, flat, bits), parts))
            else:
                for f in flat.fragments:
                    if f.name in names:
                        shard = self._shard(self._begins[f.name] + f.offset, f, self.masks.bits(f.name), f.offset)
                        held.append((shard, [Part(f.name, f.offset, 0, shard.count)]))
        return held

    def _shard(self, position: int, held: Flat | Fragment, alive: torch.Tensor, offset: int = 0) -> select.Shard:
        score, weights, first_moment = SCORES[self.spec.score], held.master, held.moments["exp_avg"]

        def keys(a: int, b: int) -> torch.Tensor:
            return score(Stretch(position + a, weights[a:b], first_moment[a:b], self.seed))

        return select.Shard(position, weights.numel(), keys, alive, offset)

    @property
    def _first(self) -> bool:
        """Whether this rank contributes what is the same on all ranks."""
        return not self.engine.sharded or dist.get_rank() == 0

    def _kept(self, shards: list[select.Shard], keep: int) -> list[torch.Tensor]:
        """Packed bits of the weights to keep, for each shard."""
        device = self.engine.device
        if self.spec.n_of_m is None:
            return select.keep_largest(shards, keep, self.engine.reduce, device)
        bad = sum(int((keys >= select.NOT_FINITE[keys.dtype]).sum()) for s in shards for _, keys in s.stretches())
        if int(self.engine.reduce(torch.tensor([bad], device=device))):
            raise select.NotFiniteError("a weight is not finite, so weights can't be ranked")
        safe = structure.best_of_groups(shards, *self.spec.n_of_m, self.engine.exchange)
        alive = [unpacked(s.alive, s.offset, s.count) for s in shards]
        rest = [replace(s, alive=packed(a & ~flags), offset=0) for s, a, flags in zip(shards, alive, safe, strict=True)]
        held = self.engine.reduce(torch.tensor([sum(int(flags.sum()) for flags in safe)], device=device))
        others = select.keep_largest(rest, keep - int(held), self.engine.reduce, device)
        return [bits | packed(flags) for bits, flags in zip(others, safe, strict=True)]

    def _not_finite(self, names: list[str]) -> str:
        """The tensors with a weight that is not finite, on any rank. Collective."""
        counts = torch.zeros(len(names), dtype=torch.int64, device=self.engine.device)
        for f in self._fragments():
            if f.name in names:
                counts[names.index(f.name)] += (~(f.master.isfinite() & f.moments["exp_avg"].isfinite())).sum()
        counts = self.engine.reduce(counts)
        return ", ".join(name for name, count in zip(names, counts.tolist(), strict=True) if count)
