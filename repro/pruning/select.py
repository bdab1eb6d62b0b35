"""Exact selection of the weights to keep: radix selection on the bits of the scores, over shards on any ranks.

No weights are gathered or sorted globally: each pass counts the scores by their next bits, the counts are summed
over ranks, and the next pass refines the bin that contains the K-th largest. Ties at the threshold are broken by
global position in the same way, as if it were the last digits of the score. So every layout of the same weights
keeps the same ones. Weights are visited in ranges of bounded length, so that temporary memory doesn't grow with
their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch

from repro.pruning.masks import packed, unpacked

CPU = torch.device("cpu")
DIGIT = 11  # bits per pass: 16 KiB of counts
NOT_FINITE = {torch.int32: 0x7F800000, torch.int64: 0x7FF0000000000000}
Reduce = Callable[[torch.Tensor], torch.Tensor]


class NotFiniteError(FloatingPointError):
    """A score is NaN or infinite, on some rank; raised on all of them."""


@dataclass(frozen=True)
class Shard:
    """A contiguous range of weights on this rank.

    Attributes:
        position: global position of the first weight; shards never overlap.
        count: number of weights.
        keys: function from [a, b) to keys (b - a,), non-negative int32 (or int64); larger keys are kept longer.
        alive: packed bits of the tensor that the shard is a part of.
        offset: index of the first weight in `alive`.
    """

    position: int
    count: int
    keys: Callable[[int, int], torch.Tensor]
    alive: torch.Tensor
    offset: int = 0

    def alive_keys(self, a: int, b: int) -> torch.Tensor:
        """Keys of weights [a, b); -1 for weights that are removed already."""
        keys = self.keys(a, b)
        # OR with all ones gives -1; where() takes ten times as long on a CPU.
        return keys | unpacked(self.alive, self.offset + a, b - a, keys.dtype, less=1)

    def stretches(self) -> Iterator[tuple[int, torch.Tensor]]:
        """(index of the first weight, keys) of consecutive ranges."""
        step = stretch_length(self.alive.device)
        for a in range(0, self.count, step):
            yield a, self.alive_keys(a, min(self.count, a + step))


def stretch_length(device: torch.device) -> int:
    """Weights processed at once: few enough for a CPU's cache, enough to fill a GPU. A multiple of 8."""
    return 1 << 18 if device.type == "cpu" else 1 << 26


def keep_largest(shards: list[Shard], keep: int, reduce: Reduce, device: torch.device = CPU) -> list[torch.Tensor]:
    """Selects the `keep` alive weights with the largest keys over all ranks.

    Args:
        shards: this rank's shards, possibly none.
        keep: how many weights stay, over all ranks.
        reduce: sums an int64 tensor over ranks.
        device: device of the counts; a rank without shards takes part in the sums, too.

    Returns:
        Packed bits for each shard's `count` weights: a subset of the alive ones.

    Raises:
        ValueError: fewer than `keep` weights are alive.
        NotFiniteError: a score is not finite.
    """
    if keep == 0:
        return [torch.zeros((s.count + 7) // 8, dtype=torch.uint8, device=s.alive.device) for s in shards]
    bits = int(reduce(torch.tensor([_bits(shards)], device=device)).item() > 0) * 32 + 31
    threshold, needed, ties = 0, keep, 0
    for shift, width in _digits(bits):
        counts = torch.zeros(1 << width, dtype=torch.int64, device=device)
        for shard in shards:
            for _, keys in shard.stretches():
                if shift + width == bits:
                    counts += torch.bincount((keys >> shift) + 1, minlength=(1 << width) + 1)[1:]  # bin 0: removed
                else:
                    inside = keys[(keys >> (shift + width)) == threshold]
                    counts += torch.bincount((inside >> shift) & ((1 << width) - 1), minlength=1 << width)
        counts = reduce(counts)
        if shift + width == bits:
            _check(counts, keep, bits, shift)
        at, above = _nth(counts.flip(0), needed)
        needed -= above
        ties = int(counts.flip(0)[at])
        threshold = (threshold << width) | ((1 << width) - 1 - at)
    last = _last_tie(shards, threshold, needed, reduce, device) if needed < ties else None
    return [_kept(shard, threshold, last) for shard in shards]


# -------------------------------------------------------------------------------------------------- inside


def _bits(shards: list[Shard]) -> int:
    """1 if the keys are 64 bits wide: float64 masters."""
    return int(any(s.count and s.keys(0, 1).dtype == torch.int64 for s in shards))


def _digits(bits: int) -> list[tuple[int, int]]:
    """(shift, width) of each pass over a number of `bits` bits, from the top."""
    edges = [*range(bits, 0, -DIGIT), 0]
    return [(low, high - low) for high, low in pairwise(edges)]


def _nth(counts: torch.Tensor, needed: int) -> tuple[int, int]:
    """The bin in which the running sum reaches `needed`, and the sum before it."""
    sums = counts.cumsum(0)
    at = int((sums >= needed).nonzero()[0])
    return at, int(sums[at] - counts[at])


def _check(counts: torch.Tensor, keep: int, bits: int, shift: int) -> None:
    """Raises if keys are NaN or inf, which are in the top bins of the first pass, or if there are too few weights."""
    limit = NOT_FINITE[torch.int32 if bits == 31 else torch.int64]
    if int(counts[limit >> shift :].sum()):
        raise NotFiniteError("a weight is not finite, so weights can't be ranked")
    if keep > int(counts.sum()):
        raise ValueError(f"{keep} weights are to stay, but only {int(counts.sum())} are alive")


def _last_tie(shards: list[Shard], threshold: int, needed: int, reduce: Reduce, device: torch.device) -> int:
    """Global position of the `needed`-th tie (1-based), by radix selection on positions."""
    end = max((s.position + s.count for s in shards), default=0)
    # All ranks must make the same number of passes: as many as the largest position on any rank needs.
    one_hot = torch.zeros(64, dtype=torch.int64, device=device)
    one_hot[end.bit_length()] = 1
    bits = int(reduce(one_hot).nonzero().max())
    last = 0
    for shift, width in _digits(bits):
        counts = torch.zeros(1 << width, dtype=torch.int64, device=device)
        for shard in shards:
            for a, keys in shard.stretches():
                at = (keys == threshold).nonzero().flatten() + (shard.position + a)
                at = at[(at >> (shift + width)) == last]
                counts += torch.bincount((at >> shift) & ((1 << width) - 1), minlength=1 << width)
        digit, before = _nth(reduce(counts), needed)
        needed -= before
        last = (last << width) | digit
    return last


def _kept(shard: Shard, threshold: int, last: int | None) -> torch.Tensor:
    """Packed bits of a shard's weights above the threshold, and of its ties up to position `last`, all if None."""
    # One buffer from the start: small results kept between large temporaries would leave holes in the heap.
    kept = torch.empty((shard.count + 7) // 8, dtype=torch.uint8, device=shard.alive.device)
    for a, keys in shard.stretches():
        if last is None or shard.position + a + len(keys) - 1 <= last:
            stays = keys >= threshold
        else:
            stays = keys > threshold
            before = max(0, last + 1 - shard.position - a)
            stays[:before] |= keys[:before] == threshold
        kept[a // 8 : (a + len(keys) + 7) // 8] = packed(stays)
    return kept
