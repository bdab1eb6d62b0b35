"""How many blocks, groups of heads, channels or weights a pruning rate removes, and the model that a growth factor gives. No torch.

A pruning rate is a share of all parameters.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from repro.errors import UserError
from repro.models.names import LINEARS, prefix, weights_of_blocks
from repro.pruning.shares import n_of_m, shares
from repro.surgery.catalogue import growing

if TYPE_CHECKING:
    from repro.spec.model import ModelSpec  # repro.spec imports this module


from repro.ladder import Shape


def check_rate(rate: float | None, structure: str | None = None) -> tuple[int, int] | None:
    """(N, M) of an N:M structure, None of another, if there is such a rate.

    Raises:
        UserError: no such structure, a rate that isn't 0 <= rate < 1, or none without N:M, which alone says how much.
    """
    groups = n_of_m(structure or "unstructured")
    if rate is None and groups is None:
        raise UserError("no rate", key="rate", found="none", expected="a number; it may be missing with N:M alone")
    if rate is not None and not (math.isfinite(rate) and 0 <= rate < 1):
        raise UserError("rate out of range", key="rate", found=rate, expected="0 <= rate < 1, of all parameters")
    return groups


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


def zeros_at(spec: ModelSpec, rate: float | None, structure: str | None) -> dict[str, int]:
    """How many weights of each linear layer a method removes that removes single weights. Raises UserError as the two below."""
    groups = check_rate(rate, structure)
    if groups is not None:
        return groups_at(spec, groups, rate)
    assert rate is not None
    return weights_at(spec, rate)


def weights_at(spec: ModelSpec, rate: float) -> dict[str, int]:
    """How many weights of each linear layer of the blocks to remove, in proportion to their sizes.

    Raises:
        UserError: a rate that leaves no weights, or removes none.
    """
    sizes = weights_of_blocks(spec.shape)
    count, there = round(rate * spec.shape.total), sum(sizes.values())
    if not 0 < count < there:
        message = "a rate that leaves no weights" if count else "a rate that removes no weight"
        found = f"{rate:g}: {count:,} of {there:,} weights in linear layers of blocks"
        expected = f"less than {there / spec.shape.total:.4f}, their share of all parameters, and above 0"
        raise UserError(message, key="rate", found=found, expected=expected)
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
            found = f"{n}:{m} with {columns} inputs of {name}"
            expected = f"a multiple of {m}"
            raise UserError("rows that can't be divided into groups", key="structure", found=found, expected=expected)
    own = {name: rows * columns // m * (m - n) for name, (rows, columns) in spec.shape.block.items()}
    each = sum(own.values()) / spec.shape.total
    blocks = spec.layers if rate is None else round(rate / each)
    if not 1 <= blocks <= spec.layers:
        found = f"{rate:g}: {blocks} of {spec.layers} blocks"
        expected = f"{each:.4f} to {spec.layers * each:.4f}, of 1 to {spec.layers} blocks"
        raise UserError(f"a rate that {n}:{m} doesn't reach", key="rate", found=found, expected=expected)
    chosen = [i for i in range(spec.layers) if (i + 1) * blocks // spec.layers > i * blocks // spec.layers]
    return {f"{prefix(i)}{LINEARS[name]}.weight": count for i in chosen for name, count in own.items()}


def width_at(spec: ModelSpec, rate: float, groups: int | None = None) -> tuple[int, int]:
    """Groups of heads and channels that every block keeps, so that about `rate` of all parameters goes.

    Args:
        rate: the share of all parameters to remove, above 0.
        groups: groups of heads to remove from every block; None: the share of the blocks' linear layers that the rate asks
            for, rounded down to a number that transformers loads.

    Raises:
        UserError: a number of groups that the width can't be divided by, or a rate that leaves no channel or removes none.
    """
    shape, target = spec.shape, rate * spec.shape.total
    share = target / (spec.layers * (shape.kv * group_params(spec) + spec.mlp * channel_params(spec)))
    if groups is None:
        most = min(int(share * shape.kv), shape.kv - 1)
        groups = next(n for n in range(most, -1, -1) if _loads(spec, shape.kv - n))
    elif not 0 <= groups < shape.kv or not _loads(spec, shape.kv - groups):
        fits = [str(n) for n in range(shape.kv) if _loads(spec, shape.kv - n)]
        message = "a width that can't be divided among the remaining heads"
        found = f"{groups} of {shape.kv} groups of {shape.heads // shape.kv} heads, d_model {spec.d_model}"
        raise UserError(message, key="groups", found=found, expected=f"one of: {', '.join(fits)}")
    left = target - spec.layers * groups * group_params(spec)
    channels = round(left / (spec.layers * channel_params(spec)))
    if not 0 <= channels < spec.mlp or (groups, channels) == (0, 0):
        per = channel_params(spec) * spec.layers / shape.total
        ends = [groups * group_params(spec) * spec.layers / shape.total + n * per for n in (not groups, spec.mlp - 1)]
        found = f"{rate:g}: {channels} of {spec.mlp} channels and {groups} groups of heads from every block"
        expected = f"{ends[0]:.4f} to {ends[1]:.4f}"
        raise UserError("a rate that leaves no channel or removes nothing", key="rate", found=found, expected=expected)
    return shape.kv - groups, spec.mlp - channels


def _loads(spec: ModelSpec, groups: int) -> bool:
    """Whether transformers loads a model with so many groups of heads."""
    return spec.d_model % (groups * spec.shape.heads // spec.shape.kv) == 0


def narrowed(spec: ModelSpec, groups: int, channels: int) -> ModelSpec:
    """The model with so many groups of heads and channels in every block."""
    shape = spec.shape
    heads = groups * shape.heads // shape.kv
    return replace(spec, heads=heads, kv_heads=groups, head_dim=shape.per_head, mlp=channels)


def grown(spec: ModelSpec, method: str, factor: int) -> ModelSpec:
    """The model after a growth of the catalogue.

    Args:
        factor: of the number of blocks, or of the widths that the method grows; the width of a head stays. Every neuron has
            as many copies, without which the RMSNorms would change what the model computes.

    Raises:
        UserError: a factor below 1, or dimensions that no model has.
    """
    grows, shape = growing(method).grows, spec.shape
    if factor < 1:
        raise UserError("factor out of range", key="factor", found=factor, expected="a whole number from 1 on")
    if factor == 1:
        return spec
    stream = factor if grows == "width" else 1
    try:
        if grows == "depth":
            return replace(spec, layers=factor * spec.layers)
        return replace(
            spec,
            d_model=stream * spec.d_model,
            heads=factor * spec.heads,
            kv_heads=factor * shape.kv,
            head_dim=shape.per_head,
            mlp=factor * spec.mlp,
        )
    except UserError as error:
        message = f"a factor that gives no possible model: {error.message}"
        found = f"{factor}, {method}, {error.key} {error.found}"
        raise UserError(message, key="factor", found=found, expected="another factor, or another method") from error


def group_params(spec: ModelSpec) -> int:
    """Parameters of a group of heads in one block, biases included."""
    shape, rows = spec.shape, spec.shape.per_head
    per_group = {"q_proj": rows * shape.heads // shape.kv, "k_proj": rows, "v_proj": rows}
    biases = sum(count for name, count in per_group.items() if name in shape.biased)
    return (sum(per_group.values()) + per_group["q_proj"]) * spec.d_model + biases


def channel_params(spec: ModelSpec) -> int:
    """Parameters of a channel in one block, biases included."""
    return 3 * spec.d_model + sum(name in spec.shape.biased for name in ("gate_proj", "up_proj"))


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
