"""The selection equals a full stable sort, however the weights are laid out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.distributed as dist

from repro.pruning import select
from repro.pruning.masks import packed, unpacked
from repro.pruning.scores import Stretch, ordered, random
from tests import workers

SIZE = 5000
IN_TIES = 1700  # with so many kept of half of them, the threshold lies in the ties of KINDS
DTYPES = (torch.float32, torch.float64)
KINDS = ("plain", "30% ties", "neighbours", "denormal", "signed zeros", "all equal")


def weights_of(kind: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(SIZE, generator=generator, dtype=dtype)
    uniform = torch.rand(SIZE, generator=generator)
    if kind == "30% ties":
        return torch.where(uniform < 0.3, 0.25, plain)
    if kind == "neighbours":  # one unit in the last place apart: any rounding of the scores makes them equal
        return 1 + torch.randperm(SIZE, generator=generator) * torch.finfo(dtype).eps
    if kind == "denormal":
        return plain * torch.finfo(dtype).smallest_normal / 1000
    if kind == "signed zeros":
        return torch.where(uniform < 0.4, 0.0, torch.where(uniform < 0.8, -0.0, plain))
    return torch.ones(SIZE, dtype=dtype) if kind == "all equal" else plain


def half_alive() -> torch.Tensor:
    return torch.rand(SIZE, generator=torch.Generator().manual_seed(1)) < 0.5


def by_sorting(weights: torch.Tensor, alive: torch.Tensor, keep: int) -> torch.Tensor:
    """The specification: largest magnitude first, ties by position."""
    order = torch.sort(weights.abs(), descending=True, stable=True).indices
    order = order[alive[order]][:keep]
    mask = torch.zeros_like(alive)
    mask[order] = True
    return mask


def test_the_threshold_of_the_cases_below_lies_in_ties() -> None:
    for kind in ("30% ties", "signed zeros", "all equal"):
        weights, alive = weights_of(kind).abs(), half_alive()
        kept = by_sorting(weights, alive, IN_TIES)
        assert weights[kept].min() == weights[alive & ~kept].max()


def alone(counts: torch.Tensor) -> torch.Tensor:
    return counts


def summed(counts: torch.Tensor) -> torch.Tensor:
    dist.all_reduce(counts)
    return counts


def keys_of(weights: torch.Tensor) -> Callable[[int, int], torch.Tensor]:
    return lambda a, b: ordered(weights[a:b])


def cut(weights: torch.Tensor, alive: torch.Tensor, edges: list[int], position: int = 0) -> list[select.Shard]:
    """Shards between the edges, each with its offset into one packed mask."""
    bits = packed(alive)
    return [select.Shard(position + a, b - a, keys_of(weights[a:b]), bits, a) for a, b in pairwise(edges)]


def joined(kept: list[tuple[int, int, torch.Tensor]]) -> torch.Tensor:
    """One mask from (position, count, packed bits) of shards in any order."""
    return torch.cat([unpacked(bits, 0, count) for _, count, bits in sorted(kept, key=lambda shard: shard[:2])])


def kept_of(shards: list[select.Shard], keep: int, reduce: select.Reduce = alone) -> list[tuple]:
    found = select.keep_largest(shards, keep, reduce)
    return [(shard.position, shard.count, bits) for shard, bits in zip(shards, found, strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_what_a_stable_sort_keeps(kind: str, dtype: torch.dtype) -> None:
    weights = weights_of(kind, dtype)
    for alive in (torch.ones(SIZE, dtype=torch.bool), half_alive()):
        left = int(alive.sum())
        for keep in (0, 1, 2, left // 4, left * IN_TIES // 2500, left - 1, left):
            mask = joined(kept_of(cut(weights, alive, [0, SIZE]), keep))
            assert torch.equal(mask, by_sorting(weights, alive, keep)), keep


@pytest.mark.slow
@pytest.mark.parametrize("length", [1 << 18, 8, 248])
@pytest.mark.parametrize("cuts", [[0], [1], [2500], [17, 17, 4000], [3, 1001, 1002, 2047, 4999]])
def test_any_cut_into_shards_and_stretches_keeps_the_same_weights(
    cuts: list[int], length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "stretch_length", lambda _device: length)
    weights, alive = weights_of("30% ties"), half_alive()
    shards = cut(weights, alive, [0, *cuts, SIZE])
    assert sum(len(list(s.stretches())) for s in shards) == sum(-(-s.count // length) for s in shards)
    for order in (shards, shards[::-1]):
        assert torch.equal(joined(kept_of(order, IN_TIES)), by_sorting(weights, alive, IN_TIES))


@pytest.mark.parametrize("position", [3, 2**31 - 2500, 2**40])
def test_ties_go_to_the_first_positions_however_far_those_are(position: int) -> None:
    weights, alive = torch.ones(SIZE), half_alive()
    mask = joined(kept_of(cut(weights, alive, [0, 1313, SIZE], position), 777))
    assert torch.equal(mask, by_sorting(weights, alive, 777))


def test_shards_of_nothing_but_removed_weights_keep_nothing() -> None:
    weights, alive = weights_of("plain"), half_alive()
    alive[1000:2000] = False
    mask = joined(kept_of(cut(weights, alive, [0, 1000, 2000, SIZE]), 1500))
    assert torch.equal(mask, by_sorting(weights, alive, 1500))


def test_asking_for_more_than_is_alive_is_an_error() -> None:
    alive = torch.arange(10) < 3
    with pytest.raises(ValueError, match="4 weights are to stay, but only 3 are alive"):
        select.keep_largest(cut(torch.ones(10), alive, [0, 10]), 4, alone)


Case = tuple[str, torch.dtype, int, int]  # kind, dtype, weights to keep, rank that holds none


def kept_on_this_rank(cases: list[Case]) -> list[list[tuple]]:
    """Deals odd shards to all ranks in turn but to the one that holds none (-1: to all)."""
    rank, world = dist.get_rank(), dist.get_world_size()
    found = []
    for kind, dtype, keep, without in cases:
        holders = [r for r in range(world) if r != without]
        shards = cut(weights_of(kind, dtype), half_alive(), [0, 701, 702, 1999, 3005, 4321, SIZE])
        mine = [s for i, s in enumerate(shards) if holders[i % len(holders)] == rank]
        found.append(kept_of(mine, keep, summed))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.full)])
def test_real_ranks_keep_the_same_weights_though_one_holds_none_and_ties_cross_them(world: int) -> None:
    cases = [
        (kind, dtype, IN_TIES, without)
        for kind in KINDS
        for dtype in DTYPES
        for without in ((-1, 0, world - 1) if dtype == torch.float32 else (0,))
    ]
    by_rank = workers.run(world, kept_on_this_rank, cases)
    for (kind, dtype, keep, without), *parts in zip(cases, *by_rank, strict=True):
        assert without < 0 or not parts[without]
        mask = joined([shard for part in parts for shard in part])
        assert torch.equal(mask, by_sorting(weights_of(kind, dtype), half_alive(), keep)), (kind, dtype, without)


def refused_on_this_rank(bad: list[float]) -> list[str]:
    """What each bad value on the last rank raises here."""
    last = dist.get_rank() == dist.get_world_size() - 1
    said = []
    for dtype in DTYPES:
        for value in bad:
            weights, alive = weights_of("plain", dtype), torch.ones(SIZE, dtype=torch.bool)
            weights[4999] = value if last else 1.0
            try:
                select.keep_largest(cut(weights, alive, [0, SIZE], SIZE * dist.get_rank()), 10, summed)
                said.append("nothing")
            except select.NotFiniteError as error:
                said.append(str(error))
            dist.barrier()  # all ranks get here: none is left waiting in the selection
    return said


@pytest.mark.slow
def test_a_weight_that_is_not_finite_on_one_rank_is_refused_on_all() -> None:
    bad = [float("nan"), float("inf"), -float("inf")]
    for said in workers.run(2, refused_on_this_rank, [*bad, 3e38]):
        assert ["not finite" in words for words in said] == [True, True, True, False] * 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_ranks_exchange_less_than_a_megabyte_for_a_million_weights(dtype: torch.dtype) -> None:
    weights = torch.randn(10**6, generator=torch.Generator().manual_seed(0), dtype=dtype)
    weights[::3] = 0.5  # ties at the threshold: their positions are looked for as well
    moved = []

    def counted(counts: torch.Tensor) -> torch.Tensor:
        moved.append(counts.numel() * counts.element_size())
        return counts

    keep = int((weights.abs() > 0.5).sum()) + 1000
    shards = cut(weights, torch.ones(10**6, dtype=torch.bool), [0, 10**6])
    assert int(joined(kept_of(shards, keep, counted)).sum()) == keep
    assert len(moved) > 4
    assert sum(moved) < 10**6


def test_random_scores_belong_to_positions_not_to_layouts() -> None:
    def scores(position: int, count: int, seed: int = 3) -> torch.Tensor:
        return random(Stretch(position, torch.zeros(count), torch.zeros(count), seed))

    whole = scores(0, 1000)
    assert torch.equal(scores(400, 100), whole[400:500])
    assert (whole >= 0).all()
    assert not torch.equal(whole, scores(0, 1000, seed=4))
    assert 0.45 < (whole > 2**29).float().mean() < 0.55
    assert len(whole.unique()) > 990
