"""What the record of a surgery counts. No torch."""

from __future__ import annotations

from repro.ladder import Shape


def counts(before: Shape, after: Shape, zeros: int = 0) -> dict[str, int]:
    """All parameters and the weights of linear layers, before and after.

    A tied head counts once, as the embedding. zeros: removed weights that are stored as zeros, which don't count.
    """
    return {
        "params_before": before.total,
        "params_after": after.total - zeros,
        "linear_before": before.prunable,
        "linear_after": after.prunable - zeros,
    }


def rates(said: dict[str, int]) -> dict[str, float]:
    """The shares that a pruning removed, of all parameters and of the weights of linear layers, from `counts`."""
    return {
        "rate_all": 1 - said["params_after"] / said["params_before"],
        "rate_linear": 1 - said["linear_after"] / said["linear_before"],
    }


def growth(said: dict[str, int]) -> dict[str, float]:
    """How many times as many there are after a growth, of all and of linear layers, from `counts`."""
    return {
        "growth_all": said["params_after"] / said["params_before"],
        "growth_linear": said["linear_after"] / said["linear_before"],
    }
