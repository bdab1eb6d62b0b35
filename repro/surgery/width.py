"""Width pruning: the choice and the removal of groups of heads and of channels of the MLP, the same number in every block.

Heads of a group share keys and values. Removing a group takes its rows of q_proj, k_proj and v_proj and its columns of
o_proj, with biases of what is removed; a channel is a row of gate_proj and up_proj and a column of down_proj.

Equal blocks are what transformers loads. Its Llama also wants a width that is a multiple of the number of heads, which rules
out most numbers of heads for a model whose width is a power of two: then only channels are removed.

Sources: sums of |w g| over what is removed together, "LLM-Pruner" (arXiv 2305.11627); Wanda's score summed over what is
removed, as in the structured baseline of "FLAP" (arXiv 2312.11983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from repro.models.names import LINEARS
from repro.pruning import scores
from repro.spec import ModelSpec
from repro.surgery.amounts import narrowed
from repro.surgery.calibrate import Progress, Replay, importance
from repro.surgery.moments import observed
from repro.surgery.net import Keep, Net
from repro.surgery.ranking import lowest


@dataclass(frozen=True)
class KeptWidth:
    """What a block keeps. groups: of heads, one for each head of keys and values. channels: of the mlp. Both ascending."""

    groups: tuple[int, ...]
    channels: tuple[int, ...]


def by_taylor(net: Net, tokens: torch.Tensor, groups: int, channels: int, progress: Progress = None) -> list[KeptWidth]:
    """What each block keeps of the groups and channels with the largest sums of |w g| of the unpruned model."""
    found = {
        index: _kept(by_group(net.spec, values), by_channel(net.spec, values), groups, channels)
        for index, values in importance(net, tokens, progress)
    }
    return [found[index] for index in range(net.spec.layers)]


def by_wanda(net: Net, tokens: torch.Tensor, groups: int, channels: int, progress: Progress = None) -> list[KeptWidth]:
    """What each block keeps of the largest sums of |w| times the norm of the input, over columns of o_proj and down_proj.

    Blocks are judged in order, on the outputs of the pruned ones before.
    """
    replay = Replay(net, tokens)
    states, found = replay.inputs, []
    for index in range(net.spec.layers):
        weights = net.block(index)
        replay.block(index)
        seen = observed(replay, states)
        reading = {f"{LINEARS[layer]}.weight": seen[layer] for layer in ("o_proj", "down_proj")}
        values = {name: moments.wanda(weights[name]) for name, moments in reading.items()}
        kept = _kept(by_group(net.spec, values), by_channel(net.spec, values), groups, channels)
        found.append(kept)
        for layer, columns in columns_of(net.spec, kept).items():
            name = f"{LINEARS[layer]}.weight"
            gone = torch.ones(weights[name].shape[1], dtype=torch.bool)
            gone[columns] = False
            weights[name] = weights[name].masked_fill(gone, 0)
        replay.block(index, weights)
        states = replay.forward(states)
        if progress:
            progress(f"block {index + 1} of {net.spec.layers}")
    return found


def at_random(spec: ModelSpec, seed: int, groups: int, channels: int) -> list[KeptWidth]:
    """What each block keeps if groups and channels are drawn."""
    kv, mlp = spec.shape.kv, spec.mlp
    values = random_scores(spec.layers * (kv + mlp), seed).view(spec.layers, kv + mlp)
    return [_kept(row[:kv], row[kv:], groups, channels) for row in values]


def random_scores(count: int, seed: int, first: int = 0) -> torch.Tensor:
    """(count,) float64: random whole numbers below 2^30 that depend on the seed and on their place from `first` on alone."""
    empty = torch.zeros(count)
    return scores.random(scores.Stretch(first, empty, empty, seed)).double()


def _kept(group_scores: torch.Tensor, channel_scores: torch.Tensor, groups: int, channels: int) -> KeptWidth:
    def highest(values: torch.Tensor, count: int) -> tuple[int, ...]:
        return tuple((~lowest(values, len(values) - count)).nonzero().flatten().tolist())

    return KeptWidth(highest(group_scores, groups), highest(channel_scores, channels))


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
