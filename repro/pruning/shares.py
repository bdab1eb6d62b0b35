"""How many weights are left where: a number of them split over tensors, and N:M sparsity. No torch."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from fractions import Fraction

from repro.errors import UserError


def shares(sizes: Mapping[str, int], keep: int) -> dict[str, int]:
    """Splits `keep` over tensors in proportion to their sizes, by largest remainder, so that it adds up exactly."""
    return bounded(sizes, keep, dict.fromkeys(sizes, 0), sizes)


def bounded(parts: Mapping[str, int], keep: int, least: Mapping[str, int], most: Mapping[str, int]) -> dict[str, int]:
    """Splits `keep` over tensors in proportion to `parts`, each within its bounds; it adds up exactly.

    Where a bound holds, the others share the rest in proportion: each tensor gets λ times its part, or the bound next to
    that, for the one λ at which they add up. The fractions that are cut off go to the largest of them, the first of equals.

    Args:
        parts: a positive number for each tensor: its size for the same density everywhere, the sum of its dimensions
            for Erdős–Rényi densities (Mocanu et al. 2018, section Methods; SET).
        keep: the sum, between those of the bounds.
        least, most: bounds of each tensor's number.

    Raises:
        ValueError: `keep` is outside of the bounds' sums.
    """
    if not sum(least[name] for name in parts) <= keep <= sum(most[name] for name in parts):
        raise ValueError(f"{keep} weights don't fit between {dict(least)} and {dict(most)}")
    exact = _exact(parts, keep, least, most)
    floors = {name: int(share) for name, share in exact.items()}
    order = list(parts)
    by_remainder = sorted(parts, key=lambda name: (floors[name] - exact[name], order.index(name)))
    for name in by_remainder[: keep - sum(floors.values())]:
        floors[name] += 1
    return floors


def _exact(
    parts: Mapping[str, int], keep: int, least: Mapping[str, int], most: Mapping[str, int]
) -> dict[str, Fraction]:
    """The shares before rounding. Their sum grows with λ, linearly between the values at which a bound begins or ends."""

    def at(scale: Fraction) -> dict[str, Fraction]:
        return {
            name: min(max(scale * part, Fraction(least[name])), Fraction(most[name])) for name, part in parts.items()
        }

    edges = sorted({Fraction(bound[name], part) for name, part in parts.items() for bound in (least, most)})
    above = bisect_left(edges, Fraction(keep), key=lambda scale: _sum(at(scale)))
    low, high = at(edges[above - 1] if above else Fraction(0)), at(edges[above])
    reach = _sum(high) - _sum(low)
    share = (keep - _sum(low)) / reach if reach else Fraction(0)
    return {name: low[name] + share * (high[name] - low[name]) for name in parts}


def _sum(numbers: Mapping[str, Fraction]) -> Fraction:
    return sum(numbers.values(), Fraction(0))


def n_of_m(structure: str) -> tuple[int, int] | None:
    """(N, M) of a structure N:M: of every M neighbouring weights in a row, N are left; None of "unstructured".

    Raises:
        UserError: it is neither.
    """
    if structure == "unstructured":
        return None
    found = re.fullmatch(r"(\d+):(\d+)", structure)
    n, m = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= n < m <= 64:
        raise UserError(
            "no such structure",
            key="structure",
            found=structure,
            expected='"unstructured", or "N:M" with 1 <= N < M <= 64, for example "2:4"',
        )
    return n, m
