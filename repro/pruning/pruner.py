"""Pruner: the events of a schedule on a DeepSpeed engine, and masks that hold between them.

At an event the weights that go are set to zero in the fp32 master, in both moments and in the module's own
weights. Between events each prunable gradient is multiplied by its mask before DeepSpeed sees it: so the
clipped norm has zeros there, and AdamW moves a removed weight by nothing (its gradient, moments and decay
are all zero). No weight is touched again until the next event.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist

from repro import zero
from repro.errors import UserError
from repro.model import prunable
from repro.pruning import select
from repro.schedule import PruningSchedule
from repro.spec import PruningSpec


class Pruner:
    """Holds the masks of one engine.

    Args:
        engine: a DeepSpeed engine from `zero.engine`.
        schedule: when, and how much stays.
        spec: score, distribution and what is kept.
        seed: of random scores.

    Raises:
        UserError: what is never pruned is already more than may stay.
    """

    def __init__(self, engine: Any, schedule: PruningSchedule, spec: PruningSpec, seed: int):
        self.engine, self.schedule, self.spec, self.seed = engine, schedule, spec, seed
        self.parameters = prunable(engine.module)
        self.sizes = {name: getattr(p, "ds_numel", p.numel()) for name, p in self.parameters.items()}
        self.shapes = {name: getattr(p, "ds_shape", p.shape) for name, p in self.parameters.items()}
        self.total = sum(self.sizes.values())
        self.scope = [n for n in self.sizes if not set(spec.keep) & set(n.split("."))]
        self.kept_always = self.total - sum(self.sizes[n] for n in self.scope)
        if schedule.n_final(self.total) < self.kept_always:
            raise UserError(
                "what is never pruned is more than may stay",
                key="pruning.keep",
                found=f"{self.kept_always:,} weights in {spec.keep}",
                expected=f"at most {schedule.n_final(self.total):,}, which is left at sparsity {spec.sparsity}",
            )
        device = next(iter(self.parameters.values())).device
        self.masks = {name: torch.ones(shape, dtype=torch.bool, device=device) for name, shape in self.shapes.items()}
        self.nonzero = self.total  # prunable weights that the masks leave
        self._hooked = False

    def event(self, index: int) -> dict[str, int]:
        """Applies event `index`. Returns the weights left in each prunable tensor."""
        target = self.schedule.kept(index, self.total) - self.kept_always
        if self.spec.distribution == "uniform":
            for name, keep in _shares({n: self.sizes[n] for n in self.scope}, target).items():
                self._select([name], keep)
        else:
            self._select(self.scope, target)
        self.apply()
        return self.counts()

    def apply(self) -> None:
        """Zeroes what the masks removed, in masters, moments and the module's weights."""
        for fragment in self._fragments():
            mask = self.mask_of(fragment)
            fragment.master.mul_(mask)
            for moment in fragment.moments.values():
                moment.mul_(mask)
        with torch.no_grad(), zero.gathered(self.engine, list(self.parameters.values())):
            for name, parameter in self.parameters.items():
                if parameter.numel():
                    parameter.data.mul_(self.masks[name])
        self.nonzero = sum(self.counts().values())
        self._hook()

    def counts(self) -> dict[str, int]:
        """Weights left in each prunable tensor."""
        return {name: int(mask.sum()) for name, mask in self.masks.items()}

    def mask_of(self, fragment: zero.Fragment) -> torch.Tensor:
        """(n,) bool, the part of the mask that belongs to a fragment's master."""
        return self.masks[fragment.name].view(-1).narrow(0, fragment.offset, fragment.master.numel())

    # ---------------------------------------------------------------- inside

    def _fragments(self) -> list[zero.Fragment]:
        return [f for f in zero.fragments(self.engine) if f.name in self.parameters]

    def _select(self, names: list[str], keep: int) -> None:
        """Keeps the `keep` best weights of `names` together."""
        positions, total = {}, 0
        for name in self.sizes:
            positions[name] = total
            total += self.sizes[name]
        chosen = [f for f in self._fragments() if f.name in names]
        shards = [
            select.Shard(positions[f.name] + f.offset, self._scores(f, positions[f.name]), self.mask_of(f))
            for f in chosen
        ]
        shared = not zero.replicated(self.engine) and dist.get_world_size() > 1

        def reduce(counts: torch.Tensor) -> torch.Tensor:
            if shared:
                dist.all_reduce(counts)
            return counts

        kept = select.keep_largest(shards, keep, reduce, self.engine.device)
        for name in names:
            mask = torch.zeros(self.sizes[name], dtype=torch.uint8, device=self.masks[name].device)
            for fragment, stays in zip(chosen, kept, strict=True):
                if fragment.name == name:
                    mask.narrow(0, fragment.offset, stays.numel()).copy_(stays)
            if shared:
                dist.all_reduce(mask)
            self.masks[name].copy_(mask.view(self.shapes[name]))

    def _scores(self, fragment: zero.Fragment, position: int) -> torch.Tensor:
        if self.spec.score == "random":
            return select.random(position + fragment.offset, fragment.master.numel(), self.seed, fragment.master.device)
        if not torch.isfinite(fragment.master).all():
            raise FloatingPointError(f"{fragment.name}: a weight is not finite, so weights can't be ranked")
        return select.magnitude(fragment.master)

    def _hook(self) -> None:
        if self._hooked:
            return
        for name, parameter in self.parameters.items():
            mask = self.masks[name]  # events write into this very tensor
            parameter.register_hook(lambda gradient, mask=mask: gradient * mask)
        self._hooked = True


def _shares(sizes: dict[str, int], keep: int) -> dict[str, int]:
    """Splits `keep` over tensors in proportion to their sizes, by largest remainder, so that it adds up exactly."""
    total = sum(sizes.values())
    floors = {name: keep * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(keep * sizes[name] % total), list(sizes).index(name)))
    for name in by_remainder[: keep - sum(floors.values())]:
        floors[name] += 1
    return floors
