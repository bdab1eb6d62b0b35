"""Masks and compensation of single layers against what algebra says they are. No model is needed."""

from __future__ import annotations

from itertools import combinations, product

import pytest
import torch

from repro.errors import UserError
from repro.surgery import dsnot, hessian
from repro.surgery.moments import Moments
from repro.surgery.multiple_removal import cheapest_sets, compensated, multiple_removal
from repro.surgery.oneshot import WAYS, LinearLayer, magnitude, wanda
from repro.surgery.ranking import lowest, lowest_of_groups, lowest_of_rows, spread
from repro.surgery.sparsegpt import sparsegpt
from tests.repro.surgery.nets import squared_change


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seen(inputs: torch.Tensor) -> Moments:
    found = Moments(with_gram=True)
    for part in inputs.split(7):
        found.add(part)
    return found


def mixed(tokens: int, width: int, seed: int) -> torch.Tensor:
    """Correlated inputs of unequal sizes, not centred."""
    return drawn(tokens, width, seed=seed) @ drawn(width, width, seed=seed + 100) + drawn(width, seed=seed + 200)


def least_squares(inputs: torch.Tensor, weight: torch.Tensor, removed: torch.Tensor) -> torch.Tensor:
    """The weights, 0 where removed, whose outputs are nearest to the layer's; row by row."""
    rows = []
    for row, gone in zip(weight, removed, strict=True):
        kept = (~gone).nonzero().flatten()
        best = torch.zeros_like(row)
        best[kept] = torch.linalg.lstsq(inputs[:, kept], inputs @ row).solution
        rows.append(best)
    return torch.stack(rows)


def damped(inputs: torch.Tensor) -> torch.Tensor:
    """Inputs whose Hessian is the damped one of `inputs`, up to a factor."""
    added = hessian.DAMP * inputs.square().sum(0).mean()
    return torch.cat([inputs, added.sqrt() * torch.eye(inputs.shape[1])])


def test_statistics_of_inputs_are_those_of_all_tokens_at_once():
    inputs = mixed(50, 6, seed=1)
    found = seen(inputs)
    torch.testing.assert_close(found.mean, inputs.mean(0))
    torch.testing.assert_close(found.variance, inputs.var(0, correction=0))
    torch.testing.assert_close(found.norm, inputs.norm(dim=0) / 50**0.5)
    torch.testing.assert_close(found.hessian, 2 / 50 * inputs.T @ inputs)


def test_exactly_k_go_and_of_equal_scores_the_later_ones():
    equal = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.5, 1.0, 2.0]])
    assert lowest(equal, 3).tolist() == [[False, False, False, False], [True, True, True, False]]
    assert lowest_of_rows(equal, torch.tensor([1, 2])).tolist() == [
        [False, False, False, True],
        [False, True, True, False],
    ]
    assert lowest_of_groups(equal, 2, 4).tolist() == [[False, False, True, True], [False, True, True, False]]
    for count, total in ((0, 8), (8, 8)):
        assert int(lowest(equal, count).sum()) == count <= total


def test_parts_of_a_count_add_up_and_differ_by_one_at_most():
    for count, parts in product((0, 1, 7, 100), (1, 3, 8)):
        found = spread(count, parts)
        assert int(found.sum()) == count
        assert int(found.max() - found.min()) <= 1


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(UserError, match="not finite"):
        lowest(torch.tensor([1.0, torch.nan]), 1)


@pytest.mark.parametrize("structure", [None, (2, 4)])
def test_wanda_of_equal_uncorrelated_inputs_is_magnitude_within_rows(structure):
    weight = drawn(6, 8)
    inputs = torch.linalg.qr(drawn(40, 8, seed=3)).Q * 3
    removed = wanda(LinearLayer(weight, seen(inputs), 24, structure))
    if structure:
        expected = magnitude(LinearLayer(weight, None, 24, structure))
    else:
        expected = torch.stack([lowest(row.abs(), 4) for row in weight])
    assert torch.equal(removed, expected)


@pytest.mark.parametrize("seed", range(3))
def test_multiple_removal_is_the_least_squares_optimum_of_its_mask(seed):
    inputs, weight = mixed(60, 12, seed), drawn(5, 12, seed=seed + 9)
    for structure in (None, (2, 4)):
        made, removed = multiple_removal(weight, seen(inputs).hessian, 31, structure)
        torch.testing.assert_close(made, least_squares(damped(inputs), weight, removed), rtol=1e-7, atol=1e-7)
        assert torch.equal(made == 0, removed)


def test_sparsegpt_never_beats_multiple_removal_on_its_mask_and_beats_zeroing_on_average():
    ratios = []
    for seed in range(12):
        second = seen(mixed(80, 16, seed)).hessian
        weight = drawn(8, 16, seed=seed + 50)
        structure = (2, 4) if seed % 2 else None
        made, removed = sparsegpt(weight, second, 64, structure)
        inverse = hessian.inverse(second)
        best = compensated(weight, removed, inverse)
        by_sparsegpt, optimal, zeroed = (
            squared_change(new - weight, inverse.inverse()) for new in (made, best, weight.masked_fill(removed, 0))
        )
        assert by_sparsegpt >= optimal * (1 - 1e-9)
        assert torch.equal(made == 0, removed)
        ratios.append(by_sparsegpt / zeroed)
    assert sum(ratios) / len(ratios) < 0.9


def test_sparsegpt_past_one_block_of_columns_is_the_column_by_column_elimination():
    """Against a plain version: one column at a time, the inverse of what is left by the Schur complement."""
    second = seen(mixed(400, 140, seed=5)).hessian
    weight = drawn(3, 140, seed=6)
    made, removed = sparsegpt(weight, second, 3 * 70, (1, 2))
    left, inverse = weight.clone(), hessian.inverse(second)
    for j in range(140):
        off = torch.where(removed[:, j], left[:, j], 0.0) / inverse[j, j]
        left -= off.outer(inverse[j])
        inverse = inverse - inverse[:, j].outer(inverse[j]) / inverse[j, j]
    torch.testing.assert_close(made, left.masked_fill(removed, 0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("structure", [None, (2, 4)])
def test_with_uncorrelated_inputs_nothing_is_moved(structure):
    weight, second = drawn(5, 8), drawn(8, seed=2).square().diag()
    for function in (sparsegpt, multiple_removal):
        made, removed = function(weight, second, 20, structure)
        torch.testing.assert_close(made, weight.masked_fill(removed, 0), rtol=1e-12, atol=1e-12)
        assert int(removed.sum()) == 20


def test_the_pair_that_costs_least_is_that_of_brute_force():
    inputs, weight = mixed(50, 8, seed=4), drawn(3, 8, seed=5)
    inverse = hessian.inverse(seen(inputs).hessian, 0.0)
    found = cheapest_sets(weight, inverse, 2, 4)
    for row, first in product(range(3), (0, 4)):
        costs = {}
        for pair in combinations(range(first, first + 4), 2):
            removed = torch.zeros(1, 8, dtype=torch.bool)
            removed[0, list(pair)] = True
            change = least_squares(inputs, weight[row : row + 1], removed) - weight[row : row + 1]
            costs[pair] = (inputs @ change.T).square().sum()
        best = min(costs, key=lambda pair: costs[pair])
        assert tuple(i for i in range(first, first + 4) if found[row, i]) == best


def test_inputs_that_are_always_zero_go_first_and_their_kept_weights_stay():
    inputs, weight = mixed(40, 8, seed=7), drawn(4, 8, seed=8)
    inputs[:, [1, 5, 6]] = 0
    second = seen(inputs).hessian
    for function in (sparsegpt, multiple_removal):
        made, removed = function(weight, second, 4 * 2)
        assert not removed[:, [0, 2, 3, 4, 7]].any()
        assert torch.equal(made.masked_fill(removed, 0), weight.masked_fill(removed, 0))


def test_a_hessian_without_full_rank_needs_damping():
    second = seen(mixed(3, 8, seed=1)).hessian
    with pytest.raises(UserError, match="not positive definite"):
        hessian.inverse(second, 0.0)
    assert hessian.inverse(second).isfinite().all()


@pytest.mark.parametrize("structure", [None, (2, 4)])
def test_swaps_keep_the_count_and_never_raise_the_change_of_the_mean(structure):
    inputs, weight = mixed(60, 16, seed=2), drawn(10, 16, seed=3)
    moments = seen(inputs)
    before = wanda(LinearLayer(weight, moments, 80, structure))
    changes = [dsnot.change(weight, before, moments).abs()]
    for swaps in range(1, 12):
        after = dsnot.improved(weight, before, moments, n_of_m=structure, swaps=swaps)
        assert torch.equal(after.sum(1), before.sum(1))
        if structure:
            assert torch.equal(after.view(-1, 4).sum(1), before.view(-1, 4).sum(1))
        changes.append(dsnot.change(weight, after, moments).abs())
        assert (changes[-1] <= changes[-2] + 1e-12).all()
    assert (changes[-1] < changes[0]).any()


def test_swaps_stop_where_the_change_is_small():
    inputs, weight = mixed(60, 16, seed=2), drawn(10, 16, seed=3)
    moments = seen(inputs)
    before = wanda(LinearLayer(weight, moments, 80, None))
    off = dsnot.change(weight, before, moments).abs()
    small = weight * dsnot.CLOSE / off.median()  # |e| of some rows is above, of others below
    near = dsnot.change(small, before, moments).abs() <= dsnot.CLOSE
    after = dsnot.improved(small, before, moments)
    assert torch.equal(after[near], before[near])
    assert not near.all()
    assert near.any()
    assert not torch.equal(after[~near], before[~near])


@pytest.mark.parametrize("way", WAYS)
def test_every_way_removes_exactly_the_count(way):
    weight, inputs = drawn(7, 12).float(), mixed(50, 12, seed=3)
    function = WAYS[way][0]
    for count, structure in ((1, None), (41, None), (83, None), (42, (2, 4)), (7 * 9, (1, 4))):
        made, removed = function(LinearLayer(weight, seen(inputs), count, structure))
        assert int(removed.sum()) == count == int((made == 0).sum())
