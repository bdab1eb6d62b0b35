"""Removes many weights at once and adjusts the remaining ones of each row to compensate for all of them (arXiv 2410.15567).

For a row w with removed set M and the inverse Hessian G: dw = -w_M (G_MM)^-1 G_M, at the cost of w_M (G_MM)^-1 w_M^T / 2.
That is the least squares optimum for the mask. Masks: by the cost of removing one weight alone, w^2 / G_jj, over the whole
layer; for N:M, of all sets of a group, the one whose removal costs least.
"""

from __future__ import annotations

from itertools import combinations

import torch

from repro.surgery import hessian as hessians
from repro.surgery.ranking import lowest

BATCH = 2**23  # numbers of a batch of matrices: 64 MiB


def multiple_removal(
    weight: torch.Tensor, hessian: torch.Tensor, count: int, n_of_m: tuple[int, int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prunes a linear layer; arguments and results as of `sparsegpt.sparsegpt`.

    As there, weights that read an input that is always zero are the first to go, and stay as they are if they stay.
    """
    exact, inverse = weight.double(), hessians.inverse(hessian)
    # What reads nothing is compared as zero, which costs nothing to remove.
    compared = exact.masked_fill(hessians.dead(hessian), 0)
    if n_of_m is None:
        removed = lowest(compared.square() / inverse.diagonal(), count)
    else:
        removed = cheapest_sets(compared, inverse, *n_of_m)
    return compensated(exact, removed, inverse), removed


def compensated(weight: torch.Tensor, removed: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """The weights with the least error of those that are 0 where `removed`, (outputs, inputs) float64.

    Rows are solved in batches: one with fewer removed weights than the largest of its batch is filled up by independent
    equations, whose solution is 0.

    Args:
        weight: (outputs, inputs) float64.
        inverse: of the Hessian, (inputs, inputs) float64.
    """
    counts = removed.sum(1)
    first = removed.int().argsort(dim=1, descending=True, stable=True)  # of each row, what is removed, then the rest
    solved = torch.zeros_like(weight)
    order = counts.argsort(stable=True)[int((counts == 0).sum()) :]
    while len(order):
        rows = order[-max(1, BATCH // int(counts[order[-1]]) ** 2) :]  # of similar counts, the largest first
        order = order[: len(order) - len(rows)]
        at = first[rows, : int(counts[rows].max())]
        real = torch.arange(at.shape[1]) < counts[rows].unsqueeze(1)
        both = real.unsqueeze(2) & real.unsqueeze(1)
        own = inverse[at.unsqueeze(2), at.unsqueeze(1)].where(both, torch.diag_embed((~real).to(inverse.dtype)))
        wanted = weight[rows].gather(1, at).masked_fill(~real, 0).unsqueeze(2)
        found = torch.cholesky_solve(wanted, torch.linalg.cholesky(own)).squeeze(2)
        solved[rows] = torch.zeros_like(solved[rows]).scatter_(1, at, found)
    return (weight - solved @ inverse).masked_fill(removed, 0)


def cheapest_sets(weight: torch.Tensor, inverse: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """What to remove so that `n` of every `m` neighbours of a row stay: in each group the set that costs least.

    Returns:
        (outputs, inputs) bool. Of sets of equal cost, the one of later columns goes.
    """
    rows, columns = weight.shape
    groups = weight.view(rows, columns // m, m)
    at = torch.arange(columns).view(-1, m)
    own = inverse[at.unsqueeze(2), at.unsqueeze(1)]  # (groups, m, m), each group's part of the inverse Hessian
    best = torch.full(groups.shape[:2], torch.inf, dtype=torch.float64)
    removed = torch.zeros(groups.shape, dtype=torch.bool)
    for gone in reversed(list(combinations(range(m), m - n))):
        index = torch.tensor(gone)
        chosen = groups[:, :, index]
        solved = torch.linalg.solve(own[:, index][:, :, index], chosen.permute(1, 2, 0)).permute(2, 0, 1)
        cost = 0.5 * (chosen * solved).sum(-1)
        better = cost < best
        best = torch.where(better, cost, best)
        pattern = torch.zeros(m, dtype=torch.bool)
        pattern[index] = True
        removed = torch.where(better.unsqueeze(-1), pattern, removed)
    return removed.view(rows, columns)
