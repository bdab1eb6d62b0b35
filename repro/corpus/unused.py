"""Ids of a vocabulary that the training text never uses, and what share of the prunable weights they leave idle.

An id's row of the LM head is never the target of a step, so it only learns to be unlikely, yet it counts in every N.
Padding of a vocabulary to a multiple has the same effect.
"""

from __future__ import annotations

from collections.abc import Mapping

from repro.ladder import Shape

LEAST = 0.01  # share of a size's prunable weights from which a sweep's plan and start warn


def shares(unused: int, shapes: Mapping[str, Shape]) -> dict[str, float]:
    """The share of each size's prunable weights that is rows of the LM head of unused ids, smallest size first."""
    ordered = sorted(shapes.items(), key=lambda item: item[1].prunable)
    return {size: unused * shape.d_model / shape.prunable for size, shape in ordered}


def said(unused: int, vocab: int, shapes: Mapping[str, Shape]) -> str:
    """A sentence on the unused ids, with their share of the smallest and the largest size; of the head's rows if no
    size is known."""
    if not unused:
        return f"each of the {vocab:,} ids of the vocabulary occurs in the training text"
    found = f"{unused:,} of {vocab:,} ids of the vocabulary occur nowhere in the training text"
    of_each = shares(unused, shapes)
    if not of_each:
        return f"{found}: {unused / vocab:.1%} of the LM head's rows, which are prunable weights and count in every N"
    sizes = [*of_each]
    ends = " and ".join(f"{of_each[size]:.1%} of {size}'s" for size in dict.fromkeys([sizes[0], sizes[-1]]))
    return f"{found}: their rows of the LM head are {ends} prunable weights, and count in every N"


def is_worth_saying(unused: int, shapes: Mapping[str, Shape]) -> bool:
    return any(share > LEAST for share in shares(unused, shapes).values())
