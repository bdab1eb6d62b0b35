"""More weights than 32 bits can count, in one shard."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest
import torch

from repro.pruning import select
from repro.pruning.masks import unpacked
from repro.pruning.scores import ordered
from tests import workers

SIZE, CHUNK = 2**31 + 1000, 1 << 22
TIE = 2.0**23  # what every fourth weight is
DROPPED = 100  # ties that go; the last that stays lies past position 2³¹ as well
GIB = 2**30


def by_rule() -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """(first position, weights, alive) of one chunk after the other, each a function of the position alone."""
    for first in range(0, SIZE, CHUNK):
        at = torch.arange(first, min(SIZE, first + CHUNK))
        hashed = ((at * 2654435761) & 0xFFFFFFFF) >> 8  # 24 bits, which fp32 holds exactly
        weights = torch.where(at % 4 == 0, TIE, hashed.float())
        yield first, torch.where(at % 3 == 0, -weights, weights), at % 8 != 7


def kept_by_counting() -> dict[str, int]:
    """Selects among SIZE weights, then counts what stays against the rule. Runs in a process of its own."""
    weights = torch.empty(SIZE)
    alive = torch.full((-(-SIZE // 8),), 0b01111111, dtype=torch.uint8)
    above = ties = 0
    for first, chunk, lives in by_rule():
        weights[first : first + len(chunk)] = chunk
        above += int(((chunk.abs() > TIE) & lives).sum())
        ties += int(((chunk.abs() == TIE) & lives).sum())
    shard = select.Shard(0, SIZE, lambda a, b: ordered(weights[a:b]), alive)
    [kept] = select.keep_largest([shard], above + ties - DROPPED, lambda counts: counts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    left, wrong, last = ties - DROPPED, 0, 0  # ties that may stay, weights with another verdict, the last tie kept
    for first, chunk, lives in by_rule():
        tied = (chunk.abs() == TIE) & lives
        expected = ((chunk.abs() > TIE) & lives) | (tied & (tied.cumsum(0) <= left))
        left = max(0, left - int(tied.sum()))
        found = unpacked(kept, first, len(chunk))
        wrong += int((found != expected).sum())
        if (tied & found).any():
            last = first + int((tied & found).nonzero()[-1])
    return {"above": above, "ties": ties, "wrong": wrong, "last": last, "peak": peak}


@pytest.mark.big
def test_two_to_the_31_weights_and_more_are_selected_exactly_in_20_gib() -> None:
    [found] = workers.run(1, kept_by_counting)
    assert found["above"] > SIZE // 4
    assert found["ties"] > SIZE // 4
    assert found["last"] > 2**31
    assert found["wrong"] == 0
    assert 8 * GIB < found["peak"] < 20 * GIB
