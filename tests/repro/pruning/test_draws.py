"""Drawn numbers are normal, depend on nothing but key and position, and are the same however weights are laid out."""

from __future__ import annotations

import pytest
import torch

from repro.pruning import scores
from repro.pruning.scores import Stretch, drawn, key_of, random

CPU = torch.device("cpu")
COUNT = 200_000


def test_any_cut_of_the_positions_gives_the_same_numbers_to_the_bit() -> None:
    key = key_of(3, 5, "fill")
    whole = scores.normal(0, 1000, key, CPU)
    for first in (0, 1, 7, 8, 500, 999):
        cut = torch.cat([scores.normal(0, first, key, CPU), scores.normal(first, 1000 - first, key, CPU)])
        assert torch.equal(cut.view(torch.int32), whole.view(torch.int32))


def test_numbers_are_standard_normal() -> None:
    found = scores.normal(0, COUNT, key_of(0, 0, "fill"), CPU).double()
    error = COUNT**-0.5
    assert abs(float(found.mean())) < 4 * error
    assert abs(float(found.var()) - 1) < 4 * 2**0.5 * error
    for z in (-3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0):
        share = float(torch.special.ndtr(torch.tensor(z, dtype=torch.float64)))
        assert float((found < z).double().mean()) == pytest.approx(share, abs=4 * (share * (1 - share)) ** 0.5 * error)


def test_seeds_events_kinds_and_neighbours_are_not_correlated() -> None:
    key = key_of(0, 0, "fill")
    first = scores.normal(0, COUNT, key, CPU)
    others = [
        scores.normal(0, COUNT, key_of(*what), CPU) for what in ((1, 0, "fill"), (0, 1, "fill"), (0, 0, "return"))
    ]
    others.append(scores.normal(1, COUNT, key, CPU))
    ranks = random(Stretch(0, torch.zeros(COUNT), torch.zeros(COUNT), 0)).double()
    for other in (*others, ranks):
        assert abs(float(torch.corrcoef(torch.stack([first.double(), other.double()]))[0, 1])) < 4 * COUNT**-0.5


def test_bits_are_within_the_keys_of_a_selection() -> None:
    found = drawn(0, COUNT, key_of(0, 0, "return"), CPU)
    assert found.dtype == torch.int32
    assert 0 <= int(found.min()) < int(found.max()) < 1 << 30
