"""The selection equals a full stable sort, however the weights are laid out."""

from __future__ import annotations

import itertools

import pytest
import torch

from repro.pruning import select
from repro.pruning.scores import ordered


def alone(counts: torch.Tensor) -> torch.Tensor:
    return counts


def by_sorting(weights: torch.Tensor, alive: torch.Tensor, keep: int) -> torch.Tensor:
    """The specification: largest magnitude first, ties by position."""
    order = torch.sort(weights.abs(), descending=True, stable=True).indices
    order = order[alive[order]][:keep]
    mask = torch.zeros_like(alive)
    mask[order] = True
    return mask


def kinds() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(5000, generator=generator)
    ties = torch.where(torch.rand(5000, generator=generator) < 0.3, torch.tensor(0.25), plain)
    zeros = torch.where(torch.rand(5000, generator=generator) < 0.5, torch.tensor(0.0), torch.tensor(-0.0))
    return {
        "plain": plain,
        "30% ties": ties,
        "denormal": plain * 1e-41,
        "signed zeros": zeros,
        "all equal": torch.ones(5000),
    }


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("keep", [0, 1, 2, 1234, 4999, 5000])
def test_it_keeps_what_a_stable_sort_keeps(kind: str, keep: int) -> None:
    weights, alive = kinds()[kind], torch.ones(5000, dtype=torch.bool)
    [mask] = select.keep_largest([select.Shard(0, ordered(weights), alive)], keep, alone)
    assert torch.equal(mask, by_sorting(weights, alive, keep))


@pytest.mark.parametrize("cuts", [[], [0], [1], [2500], [17, 17, 4000], [4999]])
def test_any_cut_into_shards_keeps_the_same_weights(cuts: list[int]) -> None:
    weights, alive = kinds()["30% ties"], torch.ones(5000, dtype=torch.bool)
    edges = [0, *cuts, 5000]
    shards = [select.Shard(a, ordered(weights[a:b]), alive[a:b]) for a, b in itertools.pairwise(edges)]
    for order in (shards, shards[::-1]):
        masks = dict(
            zip(
                [s.position if s.scores.numel() else -1 for s in order],
                select.keep_largest(order, 2000, alone),
                strict=True,
            )
        )
        whole = torch.cat([masks[a] for a, b in itertools.pairwise(edges) if b > a])
        assert torch.equal(whole, by_sorting(weights, alive, 2000))


def test_a_removed_weight_never_comes_back() -> None:
    weights = kinds()["plain"]
    alive = torch.rand(5000, generator=torch.Generator().manual_seed(1)) < 0.5
    [mask] = select.keep_largest([select.Shard(0, ordered(weights), alive)], 1000, alone)
    assert torch.equal(mask, by_sorting(weights, alive, 1000))
    assert not (mask & ~alive).any()


def test_asking_for_more_than_is_alive_is_an_error() -> None:
    alive = torch.zeros(10, dtype=torch.bool)
    with pytest.raises(ValueError, match="fewer are alive"):
        select.keep_largest([select.Shard(0, ordered(torch.ones(10)), alive)], 1, alone)


def test_random_scores_belong_to_positions_not_to_layouts() -> None:
    whole = select.random(0, 1000, seed=3, device=torch.device("cpu"))
    assert torch.equal(select.random(400, 100, seed=3, device=torch.device("cpu")), whole[400:500])
    assert (whole >= 0).all()
    assert not torch.equal(whole, select.random(0, 1000, seed=4, device=torch.device("cpu")))
    assert 0.45 < (whole > 2**30).float().mean() < 0.55
