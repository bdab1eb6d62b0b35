"""How much a rate removes: blocks of a model, or weights of its linear layers. A rate is a share of all parameters."""

from __future__ import annotations

import math

from repro.errors import UserError
from repro.models.family import LINEARS, prefix
from repro.pruning.select import shares
from repro.spec import ModelSpec
from repro.surgery.ranking import spread


def check_rate(rate: float) -> None:
    """Raises UserError unless 0 <= rate < 1."""
    if not (math.isfinite(rate) and 0 <= rate < 1):
        raise UserError("rate out of range", key="rate", found=rate, expected="0 <= rate < 1, of all parameters")


def blocks_at(spec: ModelSpec, rate: float) -> int:
    """The number of blocks whose share of all parameters is nearest to a rate above 0.

    Raises:
        UserError: that is none of them or all.
    """
    each = spec.shape.per_block / spec.shape.total
    found = round(rate / each)
    if not 1 <= found < spec.layers:
        raise UserError(
            "a rate that leaves no block" if found else "a rate that removes no block",
            key="rate",
            found=f"{rate:g}: {found} of {spec.layers} blocks",
            expected=f"{each:.4f} to {(spec.layers - 1) * each:.4f}, 1 to {spec.layers - 1} blocks"
            if spec.layers > 1
            else "a model of more than one block",
        )
    return found


def weights_at(spec: ModelSpec, rate: float) -> dict[str, int]:
    """How many weights of each linear layer of the blocks to remove, in proportion to their sizes.

    Raises:
        UserError: a rate that leaves no weights, or removes none.
    """
    sizes = {
        f"{prefix(index)}{LINEARS[name]}.weight": rows * columns
        for index in range(spec.layers)
        for name, (rows, columns) in spec.shape.block.items()
    }
    count, there = round(rate * spec.shape.total), sum(sizes.values())
    if not 0 < count < there:
        raise UserError(
            "a rate that leaves no weights" if count else "a rate that removes no weight",
            key="rate",
            found=f"{rate:g}: {count:,} of {there:,} weights in linear layers of blocks",
            expected=f"less than {there / spec.shape.total:.4f}, their share of all parameters, and above 0",
        )
    return shares(sizes, count)


def groups_at(spec: ModelSpec, n_of_m: tuple[int, int], rate: float | None) -> dict[str, int]:
    """How many weights of each linear layer N:M removes, of as many blocks as come nearest to a rate.

    Args:
        rate: None: all blocks. Otherwise the blocks are spread evenly over the model.

    Raises:
        UserError: rows that don't divide into groups, or a rate that all blocks don't reach, or one removes.
    """
    n, m = n_of_m
    for name, (_, columns) in spec.shape.block.items():
        if columns % m:
            raise UserError(
                "rows don't divide into groups",
                key="structure",
                found=f"{n}:{m} with {columns} inputs of {name}",
                expected=f"a multiple of {m}",
            )
    own = {name: rows * columns // m * (m - n) for name, (rows, columns) in spec.shape.block.items()}
    each = sum(own.values()) / spec.shape.total
    blocks = spec.layers if rate is None else round(rate / each)
    if not 1 <= blocks <= spec.layers:
        raise UserError(
            f"a rate that {n}:{m} doesn't reach",
            key="rate",
            found=f"{rate:g}: {blocks} of {spec.layers} blocks",
            expected=f"{each:.4f} to {spec.layers * each:.4f}, of 1 to {spec.layers} blocks",
        )
    chosen = spread(blocks, spec.layers).nonzero().flatten().tolist()
    return {f"{prefix(i)}{LINEARS[name]}.weight": count for i in chosen for name, count in own.items()}
