"""Schedules of other shapes with the T and the N_avg of a given one, to the weight: what they are compared at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from repro.errors import UserError
from repro.schedule.declared import Declared
from repro.schedule.pruning import PruningSchedule

NEAR = 1  # largest difference of N_avg, weights
TRIED = (
    3  # by how many steps the dense phases may differ from the nearest number; those of a saw-tooth are rounded each
)


def of_average(asked: Declared, like: PruningSchedule, prunable: int) -> Declared:
    """`asked` with other values of `end` and `sparsity`, so that T is that of `like` and N_avg within a weight of its.

    `end` becomes the share of compute at which the average is nearest. As steps are whole, that leaves a difference of up to
    one step's weights, which the sparsity takes up. A constant shape has its sparsity alone.

    Args:
        asked: of a shape with one sparse density, its other values as wanted: constant, static_dense or saw_tooth.
        like: of equal compute.
        prunable: N.

    Raises:
        UserError: another shape, or one without such an average.
    """
    if asked.shape not in ("constant", "static_dense", "saw_tooth"):
        expected = "constant, static_dense or saw_tooth"
        raise UserError("not of one sparse density", key="shape", found=asked.shape, expected=expected)
    due = like.weight_steps(prunable)
    for one in _nearest(asked, like.total_steps, due, prunable):
        found = _resolved(one)
        if found is None or found.total_steps != like.total_steps:
            continue
        if abs(found.weight_steps(prunable) - due) <= NEAR * like.total_steps:
            return one
    raise UserError(
        "no schedule of this shape has that average",
        key="shape",
        found=f"{asked.shape} at sparsity {asked.sparsity:g}",
        expected=f"{like.total_steps:,} steps and {due / like.total_steps:,.1f} weights on average",
    )


def _nearest(asked: Declared, total: int, due: int, prunable: int) -> Iterator[Declared]:
    """Schedules whose weights sum to about `due` over `total` steps, the nearest to the asked sparsity first."""
    dense = 0 if asked.shape == "constant" else total - round((total * prunable - due) / (asked.sparsity * prunable))
    for more in sorted(range(-TRIED, TRIED + 1), key=abs):
        found = _resolved(replace(asked, end=_end(asked, dense + more, total)))
        if found is None:
            continue
        pieces = zip(found.densities.lengths, found.densities.weights, strict=True)
        there = sum(length for length, density in pieces if density == 1)
        ideal = (due - there * prunable) / (total - there)
        for kept in sorted((math.floor(ideal), math.ceil(ideal)), key=lambda count: abs(count - ideal)):
            # Rounded down to twelve digits, so that exactly so many weights are left (pieces.exact_floor).
            one = replace(asked, sparsity=(prunable - kept) * 10**12 // prunable / 10**12)
            yield replace(one, end=_end(one, dense + more, total))


def _resolved(asked: Declared) -> PruningSchedule | None:
    """None where a phase has no step, or is past the run."""
    try:
        return PruningSchedule.resolve(asked)
    except UserError:
        return None


def _end(asked: Declared, dense: int, total: int) -> float:
    """Where a shape ends that is dense for so many of all steps."""
    kept = 1 - asked.sparsity
    if asked.shape == "static_dense":
        return (total - dense) * kept / asked.dense_steps
    if asked.shape == "saw_tooth":  # dense until `start`, then sparse for as many steps as dense
        return asked.start + (dense - asked.start * asked.dense_steps) * (1 + kept) / asked.dense_steps
    return asked.end
