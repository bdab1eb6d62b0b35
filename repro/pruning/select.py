"""Exactly which weights stay: radix selection on the bits of the scores, over shards on any ranks.

No gather and no sort of the whole: each pass counts the scores by their next bits, the counts are summed over
ranks, and the bin that holds the K-th largest is opened in the next pass. Ties at the threshold are broken
by global position, so every layout of the same weights keeps the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

# Scores are non-negative int32: 11 + 10 + 10 bits.
_PASSES = ((20, 11), (10, 10), (0, 10))
CPU = torch.device("cpu")
Reduce = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Shard:
    """Scores of one stretch of weights held here.

    Attributes:
        position: global position of the first weight; shards never overlap.
        scores: (n,) int32, non-negative; larger stays longer.
        alive: (n,) bool, weights not removed so far.
    """

    position: int
    scores: torch.Tensor
    alive: torch.Tensor


def keep_largest(shards: list[Shard], keep: int, reduce: Reduce, device: torch.device = CPU) -> list[torch.Tensor]:
    """Masks of the `keep` alive weights with the largest scores over all ranks.

    Args:
        shards: this rank's shards, possibly none.
        keep: how many weights stay, over all ranks.
        reduce: sums an int64 tensor over ranks.
        device: where the counts are made; a rank that holds no shard sums with the others all the same.

    Returns:
        (n,) bool for each shard: a subset of its `alive`.

    Raises:
        ValueError: fewer than `keep` weights are alive.
    """
    alive = [s.scores[s.alive] for s in shards]
    prefix, needed = 0, keep
    for shift, bits in _PASSES:
        counts = torch.zeros(1 << bits, dtype=torch.int64, device=device)
        for scores in alive:
            inside = scores[(scores >> (shift + bits)) == prefix]
            counts += torch.bincount((inside >> shift) & ((1 << bits) - 1), minlength=1 << bits)
        counts = reduce(counts)
        from_top = counts.flip(0).cumsum(0)
        if needed > int(from_top[-1]):
            raise ValueError(f"{keep} weights are to stay, but fewer are alive")
        bin_from_top = int((from_top >= max(needed, 1)).nonzero()[0])
        needed -= int(from_top[bin_from_top] - counts.flip(0)[bin_from_top])
        prefix = (prefix << bits) | ((1 << bits) - 1 - bin_from_top)
    # `prefix` is now the threshold itself and `needed` the number of its ties that stay, lowest positions first.
    last = _last_tie(shards, prefix, needed, reduce, device)
    kept = []
    for s in shards:
        stays = s.alive & (s.scores > prefix)
        ties = s.alive & (s.scores == prefix)
        if last >= s.position:
            ties[max(0, last - s.position + 1) :] = False
            stays |= ties
        kept.append(stays)
    return kept


def _last_tie(shards: list[Shard], threshold: int, needed: int, reduce: Reduce, device: torch.device) -> int:
    """Global position of the `needed`-th tie (1-based), or -1 when no tie stays.

    Found bit by bit: how many ties lie below a candidate position is one number to sum over ranks.
    """
    if needed <= 0:
        return -1
    ties = [s.position + (s.alive & (s.scores == threshold)).nonzero().flatten() for s in shards]
    mine = torch.cat(ties) if ties else torch.empty(0, dtype=torch.int64, device=device)
    if int(reduce(torch.tensor([mine.numel()], device=device))) == needed:
        return (1 << 62) - 1
    low, high = 0, 1 << 48
    while low < high:
        middle = (low + high) // 2
        if int(reduce((mine <= middle).sum().view(1))) >= needed:
            high = middle
        else:
            low = middle + 1
    return low


def magnitude(weights: torch.Tensor) -> torch.Tensor:
    """|w| as ordered int32: the bits of a non-negative float sort as integers. (n,) fp32 -> (n,) int32."""
    return weights.abs().view(torch.int32)


def random(position: int, count: int, seed: int, device: torch.device) -> torch.Tensor:
    """A fixed random score for each global position, the same in every layout. (n,) int32, 31 bits.

    The finaliser of MurmurHash3 on 64 bits, in wrapping integer arithmetic.
    """
    salt = (seed + 1) * 0x632BE59BD9B4E019 & (2**63 - 1)
    x = torch.arange(position, position + count, dtype=torch.int64, device=device) * 0x9E3779B1 + salt
    for multiplier in (-0xAE502812AA7333, -0x3B314601E57A13AD):
        x = (x ^ ((x >> 33) & 0x7FFFFFFF)) * multiplier
    return ((x ^ ((x >> 33) & 0x7FFFFFFF)) & 0x7FFFFFFF).to(torch.int32)
