"""Normal numbers for returned weights, the same in every layout: looked up, not computed, by each weight's own random bits."""

from __future__ import annotations

from functools import cache

import torch

from repro.pruning.scores import drawn

BITS = 20  # of the 30 of `drawn`: a million levels, up to 4.9 standard deviations


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
