"""Scores by which weights are ranked, and random numbers of weights that are the same in every layout.

A score is a function here and a name in `PruningSpec.score`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch

BITS = 20  # of the 30 random bits of a weight, by which a normal number is found: a million levels, up to 4.9 standard deviations


@dataclass(frozen=True)
class Stretch:
    """A contiguous range of weights to rank.

    Attributes:
        position: global position of the first weight, the same in every layout.
        weights: (n,) fp32 masters.
        first_moment: (n,) fp32, AdamW's running mean of the gradient.
        seed: seed of the run.
    """

    position: int
    weights: torch.Tensor
    first_moment: torch.Tensor
    seed: int


def magnitude(s: Stretch) -> torch.Tensor:
    """|w| (paper, section 2)."""
    return ordered(s.weights)


def magnitude_gradient(s: Stretch) -> torch.Tensor:
    """|w g|, the first-order change of the loss, with AdamW's running mean of the gradient as g.

    The running mean is available for free, is part of every checkpoint and averages over a dozen steps.
    """
    return ordered(s.weights * s.first_moment)


def random(s: Stretch) -> torch.Tensor:
    """A fixed random number per global position, the same at every event."""
    return drawn(s.position, len(s.weights), (s.seed + 1) * 0x632BE59BD9B4E019, s.weights.device)


def drawn(position: int, count: int, key: int, device: torch.device) -> torch.Tensor:
    """(count,) int32: 30 random bits for each of the positions from `position` on, the same in every layout.

    The finaliser of MurmurHash3 in wrapping 64-bit arithmetic.
    """
    positions = torch.arange(position, position + count, dtype=torch.int64, device=device)
    x = positions * 0x9E3779B1 + (key & (2**63 - 1))
    for multiplier in (-0xAE502812AA7333, -0x3B314601E57A13AD):
        x = (x ^ ((x >> 33) & 0x7FFFFFFF)) * multiplier
    return ((x ^ ((x >> 33) & 0x7FFFFFFF)) & 0x3FFFFFFF).to(torch.int32)


def key_of(seed: int, event: int, what: str) -> int:
    """The key of the draws of one kind at one event of a run, for `drawn`: no two kinds and no two events share theirs."""
    return int.from_bytes(hashlib.sha256(f"{what}, seed {seed}, event {event}".encode()).digest()[:8], "little")


def ordered(values: torch.Tensor) -> torch.Tensor:
    """|v| as integers in the same order, (n,) fp32 -> (n,) int32: bits of non-negative floats sort as integers."""
    return values.abs().view(torch.int64 if values.dtype == torch.float64 else torch.int32)


SCORES: dict[str, Callable[[Stretch], torch.Tensor]] = {
    "magnitude": magnitude,
    "random": random,
    "magnitude_gradient": magnitude_gradient,
}


def normal(position: int, count: int, key: int, device: torch.device) -> torch.Tensor:
    """(count,) fp32: standard normal numbers of the positions from `position` on.

    A logarithm or a sine may differ in its last bit between the ends of a range and its middle, so that a weight's number
    would depend on how the ranks share the weights. Here it is one of the 2^20 quantiles at (i + .5) / 2^20.
    """
    return _quantiles(device).index_select(0, drawn(position, count, key, device) >> (30 - BITS))


@cache
def _quantiles(device: torch.device) -> torch.Tensor:
    """(2^BITS,) fp32, made on a CPU for all devices."""
    shares = (torch.arange(1 << BITS, dtype=torch.float64) + 0.5) / (1 << BITS)
    return torch.special.ndtri(shares).float().to(device)
