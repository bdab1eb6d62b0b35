"""The units that width and depth pruning remove: a block; a group of heads that share keys and values; a channel of the MLP.

Removing a block shortens the model. Removing a group of heads takes their rows of q_proj, the rows of k_proj and v_proj, and
their columns of o_proj, with biases of what is removed; a channel is a row of gate_proj and up_proj and a column of down_proj.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from repro.models.names import LINEARS
from repro.spec import ModelSpec
from repro.surgery.amounts import narrowed
from repro.surgery.net import Net
from repro.surgery.spill import Keep


@dataclass(frozen=True)
class KeptWidth:
    """What a block keeps. groups: of heads, one for each head of keys and values. channels: of the mlp. Both ascending."""

    groups: tuple[int, ...]
    channels: tuple[int, ...]


def without_blocks(net: Net, removed: Iterable[int]) -> Net:
    """The model without some blocks, whose numbers close up. Raises ValueError if a block is missing or none is left."""
    gone = set(removed)
    kept = [block for block in range(net.spec.layers) if block not in gone]
    if not kept or len(kept) + len(gone) != net.spec.layers:
        raise ValueError(f"blocks {sorted(gone)} of {net.spec.layers}")
    return net.rebuilt(replace(net.spec, layers=len(kept)), map(net.block, kept))


def with_width(net: Net, kept: Sequence[KeptWidth], keep: Keep = dict) -> Net:
    """The model with the kept groups and channels of each block; `keep` as in Net.rebuilt.

    Raises:
        ValueError: the numbers of groups or channels differ between blocks.
        UserError: a spec that transformers doesn't load.
    """
    [(groups, channels)] = {(len(one.groups), len(one.channels)) for one in kept}
    blocks = (_narrowed(net, index, one) for index, one in enumerate(kept))
    return net.rebuilt(narrowed(net.spec, groups, channels), blocks, keep)


def _narrowed(net: Net, index: int, kept: KeptWidth) -> dict[str, torch.Tensor]:
    """The parameters of a block that keeps some groups and channels."""
    rows, columns = rows_of(net.spec, kept), columns_of(net.spec, kept)
    found = net.block(index)
    for name, module in LINEARS.items():
        for leaf in ("weight", "bias"):
            if (weight := found.get(f"{module}.{leaf}")) is None:
                continue
            if name in rows:
                weight = weight[rows[name]]
            elif leaf == "weight":
                weight = weight[:, columns[name]]
            found[f"{module}.{leaf}"] = weight.contiguous()
    return found


def rows_of(spec: ModelSpec, kept: KeptWidth) -> dict[str, torch.Tensor]:
    """Rows that the linear layers keep which write into groups and channels, (rows,) int64 by layer."""
    shape = spec.shape
    queries, keys = _spread(kept.groups, shape.per_head * shape.heads // shape.kv), _spread(kept.groups, shape.per_head)
    channels = torch.tensor(kept.channels, dtype=torch.int64)
    return {"q_proj": queries, "k_proj": keys, "v_proj": keys, "gate_proj": channels, "up_proj": channels}


def columns_of(spec: ModelSpec, kept: KeptWidth) -> dict[str, torch.Tensor]:
    """Columns that the linear layers keep which read from groups and channels, (columns,) int64 by layer."""
    rows = rows_of(spec, kept)
    return {"o_proj": rows["q_proj"], "down_proj": rows["up_proj"]}


def by_group(spec: ModelSpec, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sums of values of a block's parameters over each group of heads, (kv_heads,) float64.

    Args:
        values: by name in the block, of the shape of the parameter; what belongs to no group is ignored.
    """
    return _sums(values, ("q_proj", "k_proj", "v_proj"), "o_proj", spec.shape.kv)


def by_channel(spec: ModelSpec, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sums of values of a block's parameters over each channel, (mlp,) float64; see `by_group`."""
    return _sums(values, ("gate_proj", "up_proj"), "down_proj", spec.mlp)


def _sums(values: dict[str, torch.Tensor], writing: Sequence[str], reading: str, units: int) -> torch.Tensor:
    """Sums over each of the units that some layers' rows write and another's columns read."""
    total = torch.zeros(units, dtype=torch.float64)
    for name in (f"{LINEARS[layer]}.{leaf}" for layer in writing for leaf in ("weight", "bias")):
        if name in values:
            total += values[name].double().reshape(units, -1).sum(1)
    if (value := values.get(f"{LINEARS[reading]}.weight")) is not None:
        total += value.double().sum(0).view(units, -1).sum(1)
    return total


def _spread(groups: Sequence[int], width: int) -> torch.Tensor:
    """Rows of groups that are `width` rows each."""
    first = torch.tensor(groups, dtype=torch.int64).unsqueeze(1) * width
    return (first + torch.arange(width)).flatten()
