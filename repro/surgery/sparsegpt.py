"""SparseGPT (arXiv 2301.00774): columns are pruned in order, and the following columns are adjusted to compensate.

As in the authors' code: columns in blocks of 128; in each block, the share of weights to remove with the least
w^2 / U_jj^2 over all rows, chosen when the block is reached, on weights that have made up for earlier columns; for N:M the
choice is made group by group. Two differences: exactly the asked number is removed, and weights that read an input that is
always zero are the first to go but stay as they are if they stay, so that a zero always means a removed weight.
"""

from __future__ import annotations

import torch

from repro.surgery import hessian as hessians
from repro.surgery.ranking import lowest, lowest_of_groups

BLOCK = 128  # columns


def sparsegpt(
    weight: torch.Tensor, hessian: torch.Tensor, count: int, n_of_m: tuple[int, int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prunes a linear layer.

    Args:
        hessian: of the mean squared error by a row, (inputs, inputs); see moments.Moments.
        n_of_m: (N, M): N of every M neighbours in a row stay, whatever the count.

    Returns:
        The new weights in float64, 0 where removed, and what is removed, bool; both (outputs, inputs).
    """
    left = weight.double().clone()
    rows, columns = left.shape
    upper = hessians.upper_factor(hessians.inverse(hessian))
    useless = hessians.dead(hessian)
    removed = torch.zeros_like(left, dtype=torch.bool)
    m = 1 if n_of_m is None else n_of_m[1]
    block = max(1, BLOCK // m) * m
    for first in range(0, columns, block):
        last = min(first + block, columns)
        if n_of_m is None:
            share = count * last // columns - count * first // columns
            removed[:, first:last] = lowest(_scores(left, upper, useless, first, last), share)
        errors = torch.zeros(rows, last - first, dtype=torch.float64)
        for j in range(first, last):
            if n_of_m is not None and j % m == 0:
                removed[:, j : j + m] = lowest_of_groups(_scores(left, upper, useless, j, j + m), *n_of_m)
            kept = torch.where(removed[:, j], 0.0, left[:, j])
            errors[:, j - first] = (left[:, j] - kept) / upper[j, j]
            left[:, j:last] -= errors[:, j - first].outer(upper[j, j:last])
            left[:, j] = kept
        left[:, last:] -= errors @ upper[first:last, last:]
    return left, removed


def _scores(left: torch.Tensor, upper: torch.Tensor, useless: torch.Tensor, first: int, last: int) -> torch.Tensor:
    """w^2 / U_jj^2 of some columns; 0 where the input is always zero."""
    found = left[:, first:last].square() / upper.diagonal()[first:last].square()
    return found.masked_fill(useless[first:last], 0)
