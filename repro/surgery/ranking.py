"""Chooses what to remove by a score: an exact number, and of equal scores the later ones."""

from __future__ import annotations

import torch

from repro.errors import UserError


def lowest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Marks the `count` lowest of all scores, bool in the shape of `scores`."""
    removed = torch.zeros(scores.numel(), dtype=torch.bool)
    removed[_falling(scores.flatten())[scores.numel() - count :]] = True
    return removed.view(scores.shape)


def lowest_of_rows(scores: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Marks the counts[r] lowest scores of each row r, bool, (rows, columns)."""
    columns = scores.shape[1]
    places = torch.arange(columns).expand_as(scores)
    rank = torch.empty(scores.shape, dtype=torch.int64).scatter_(1, _falling(scores), places)
    return rank >= columns - counts.unsqueeze(1)


def lowest_of_groups(scores: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """Marks all but the `n` highest of every `m` neighbouring scores of a row, bool, (rows, columns)."""
    groups = scores.reshape(-1, m)
    return lowest_of_rows(groups, torch.full((len(groups),), m - n)).view(scores.shape)


def spread(count: int, parts: int) -> torch.Tensor:
    """`count` in `parts` equal parts that differ by at most one and add up, evenly mixed, (parts,) int64."""
    ends = torch.arange(1, parts + 1) * count // parts
    return ends.diff(prepend=torch.zeros(1, dtype=torch.int64))


def _falling(scores: torch.Tensor) -> torch.Tensor:
    """Indices along the last dimension from the highest score to the lowest, equal ones in order."""
    if not bool(scores.isfinite().all()):
        bad = int((~scores.isfinite()).sum())
        raise UserError("scores that are not finite", found=f"{bad:,} of {scores.numel():,}", expected="none")
    return torch.argsort(scores, dim=-1, descending=True, stable=True)
