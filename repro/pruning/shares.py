"""A number split over parts in proportion to their sizes. No torch."""

from __future__ import annotations


def shares(sizes: dict[str, int], keep: int) -> dict[str, int]:
    """Splits `keep` over tensors in proportion to their sizes, by largest remainder, so that it adds up exactly."""
    total = sum(sizes.values())
    floors = {name: keep * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(keep * sizes[name] % total), list(sizes).index(name)))
    for name in by_remainder[: keep - sum(floors.values())]:
        floors[name] += 1
    return floors
