"""Picker: the weights with the largest keys of some tensors, picked from an engine's shards, exactly and in any layout.

N:M sparsity: of every M neighbouring weights in a row, at least N stay until the last event, and then exactly N. While
density falls, the N best weights of each group are protected and the others compete as usual; the last event keeps only the
protected ones, so that each group ends with N (sparse tensor cores support 2:4).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import accumulate

import torch

from repro.pruning import select
from repro.pruning.masks import Masks, packed, unpacked
from repro.pruning.select import Shard, stretch_length
from repro.training.masters import Part
from repro.training.zero import DeepSpeedEngine


@dataclass(frozen=True)
class Extent:
    """A range of a flat, whose weights are ranked together.

    Attributes:
        flat: index in the engine's `flats`.
        start, count: the range in that flat.
        position: position of its first weight in the whole model: among all weights, or among the prunable ones
            (`Ranking.by_position`).
        parts: the tensors in it; `start` counts from the range's first weight.
    """

    flat: int
    start: int
    count: int
    position: int
    parts: tuple[Part, ...]

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """(count,) of a tensor that lies as the flat does, a view."""
        return tensor.narrow(0, self.start, self.count)


Keys = Callable[[int, int], torch.Tensor]


@dataclass(frozen=True)
class Ranking:
    """A way to rank weights.

    Attributes:
        keys: from a range to a function from [a, b) in it to keys, (b - a,) non-negative int32 (or int64).
        by_position: whether keys depend on positions, which then count the prunable weights alone.
    """

    keys: Callable[[Extent], Keys]
    by_position: bool = False


class Picker:
    """Picks weights of an engine.

    Args:
        engine: whose weights.
        masks: any masks of the tensors from which may be picked.
        whole: whether all tensors are ranked at once. Then each flat is one shard, where the weights of other tensors
            don't count: a shard for each tensor takes a GPU many more launches.
    """

    def __init__(self, engine: DeepSpeedEngine, masks: Masks, *, whole: bool):
        self.engine, self._masks, self._whole = engine, masks, whole
        self._among_all = _begins({name: shape.numel() for name, shape in engine.shapes().items()})
        self._among_prunable = _begins(masks.sizes)

    def pick(
        self, names: Collection[str], among: Masks, count: int, ranking: Ranking, n_of_m: tuple[int, int] | None = None
    ) -> Masks:
        """Masks of the `count` weights with the largest keys, among those of `names` that `among` has. Collective.

        Args:
            n_of_m: if given, the N largest of every M neighbours are among them.

        Raises:
            FloatingPointError: a key is not finite; the tensors are named, on every rank.
            ValueError: `among` has fewer.
        """
        held = self._held(set(names), ranking, whole=self._whole and n_of_m is None and not ranking.by_position)
        shards = [self._shard(one, among, ranking) for one in held]
        try:
            if n_of_m is None:
                picked = select.keep_largest(shards, count, self.engine.reduce, self.engine.device)
            else:
                picked = self._in_groups(shards, count, n_of_m)
        except select.NotFiniteError as error:
            raise FloatingPointError(f"{self._not_finite(list(names), among, ranking)}: {error}") from None
        found = Masks(self._masks.shapes, self.engine.device)
        for one, bits in zip(held, picked, strict=True):
            found.scatter(bits, one.parts)
        # Every weight's bit is set by one rank only, so the sum of the bytes is the union of the bits.
        self.engine.reduce(found.buffer)
        return found

    def position(self, name: str) -> int:
        """Position of a tensor's first weight among the prunable weights of the model."""
        return self._among_prunable[name]

    # ---------------------------------------------------------------- inside

    def _held(self, names: set[str], ranking: Ranking, *, whole: bool) -> list[Extent]:
        held, begins = [], self._among_all if whole else self._among_prunable
        for index, flat in enumerate(self.engine.flats):
            parts = tuple(part for part in flat.parts if part.name in names)
            if whole and flat.first is not None:
                held.append(Extent(index, 0, flat.master.numel(), flat.first, parts))
            else:
                held += [
                    Extent(index, p.start, p.count, begins[p.name] + p.offset, (replace(p, start=0),)) for p in parts
                ]
        return held

    def _shard(self, extent: Extent, among: Masks, ranking: Ranking) -> select.Shard:
        keys = ranking.keys(extent)
        if len(extent.parts) == 1 and extent.parts[0].count == extent.count:
            alive, offset = among.bits(extent.parts[0].name), extent.parts[0].offset
        else:
            alive, offset = among.gather(extent.parts, extent.count, others=False), 0
        return select.Shard(extent.position, extent.count, keys, alive, offset)

    def _in_groups(self, shards: list[select.Shard], count: int, n_of_m: tuple[int, int]) -> list[torch.Tensor]:
        """Packed bits of what is picked of each shard, with the N best of every M neighbours."""
        if int(self.engine.reduce(torch.tensor([sum(map(_broken, shards))], device=self.engine.device))):
            raise select.NotFiniteError("a weight is not finite, so weights can't be ranked")
        safe = best_of_groups(shards, *n_of_m, self.engine.exchange)
        alive = [unpacked(s.alive, s.offset, s.count) for s in shards]
        rest = [replace(s, alive=packed(a & ~flags), offset=0) for s, a, flags in zip(shards, alive, safe, strict=True)]
        held = self.engine.reduce(torch.tensor([sum(int(flags.sum()) for flags in safe)], device=self.engine.device))
        others = select.keep_largest(rest, count - int(held), self.engine.reduce, self.engine.device)
        return [bits | packed(flags) for bits, flags in zip(others, safe, strict=True)]

    def _not_finite(self, names: list[str], among: Masks, ranking: Ranking) -> str:
        """The tensors with a key that is not finite, on any rank. Collective."""
        counts = torch.zeros(len(names), dtype=torch.int64, device=self.engine.device)
        for extent in self._held(set(names), ranking, whole=False):
            counts[names.index(extent.parts[0].name)] += _broken(self._shard(extent, among, ranking))
        counts = self.engine.reduce(counts)
        return ", ".join(name for name, count in zip(names, counts.tolist(), strict=True) if count)


def _begins(sizes: dict[str, int]) -> dict[str, int]:
    """Position of the first weight of each tensor, one after the other."""
    return dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))


def _broken(shard: select.Shard) -> int:
    return sum(int((keys >= select.NOT_FINITE[keys.dtype]).sum()) for _, keys in shard.stretches())


Edge = tuple[int, int]  # global position, key
Exchange = Callable[[list[Edge]], list[Edge]]


def best_of_groups(shards: list[Shard], n: int, m: int, exchange: Exchange) -> list[torch.Tensor]:
    """Flags of the `n` largest alive keys in each group of `m` neighbours; ties go to the first.

    Args:
        shards: this rank's shards; a group may begin on one rank and end on another.
        exchange: joins the lists of all ranks; they are short, with only the groups that shard boundaries cut.

    Returns:
        (count,) bool for each shard.
    """
    flags = [torch.zeros(s.count, dtype=torch.bool, device=s.alive.device) for s in shards]
    cut: list[Edge] = []
    for shard, flag in zip(shards, flags, strict=True):
        head, tail = _ends(shard, m)
        step = m * max(1, stretch_length(shard.alive.device) // m)
        for a in range(head, shard.count - tail, step):
            b = min(shard.count - tail, a + step)
            flag[a:b] = _best(shard.alive_keys(a, b).view(-1, m), n).view(-1)
        for a, b in ((0, head), (shard.count - tail, shard.count)):
            if a < b:
                cut += zip(range(shard.position + a, shard.position + b), shard.alive_keys(a, b).tolist(), strict=True)
    keys = dict(exchange(cut))
    for shard, flag in zip(shards, flags, strict=True):
        head, tail = _ends(shard, m)
        best: dict[int, torch.Tensor] = {}
        for i in [*range(head), *range(shard.count - tail, shard.count)]:
            first = (shard.position + i) // m * m
            if first not in best:
                best[first] = _best(torch.tensor([[keys[p] for p in range(first, first + m)]]), n)[0]
            flag[i] = best[first][shard.position + i - first]
    return flags


def _ends(shard: Shard, m: int) -> tuple[int, int]:
    """Number of weights at either end that belong to incomplete groups."""
    head = min(shard.count, -shard.position % m)
    return head, (shard.count - head) % m


def _best(keys: torch.Tensor, n: int) -> torch.Tensor:
    """(G, m) keys -> (G, m) bool. A weight's rank is the number of larger keys plus equal keys before it."""
    ranks = torch.zeros(keys.shape, dtype=torch.uint8, device=keys.device)
    for i in range(keys.shape[1]):
        for j in range(keys.shape[1]):
            if i != j:
                ranks[:, i] += (keys[:, j] >= keys[:, i]) if j < i else (keys[:, j] > keys[:, i])
    return (ranks < n) & (keys >= 0)
