"""Width pruning: the choice of the groups of heads and of the channels to remove, the same number in every block.

Equal blocks are what transformers loads. Its Llama also wants a width that is a multiple of the number of heads, which rules
out most numbers of heads for a model whose width is a power of two: then only channels are removed.

Sources: sums of |w g| over what is removed together, "LLM-Pruner" (arXiv 2305.11627); Wanda's score summed over what is
removed, as in the structured baseline of "FLAP" (arXiv 2312.11983).
"""

from __future__ import annotations

import torch

from repro.models.names import LINEARS
from repro.pruning import scores
from repro.spec import ModelSpec
from repro.surgery.calibrate import Progress, Replay
from repro.surgery.groups import KeptWidth, by_channel, by_group, columns_of
from repro.surgery.moments import observed
from repro.surgery.net import Net
from repro.surgery.ranking import lowest
from repro.surgery.taylor import importance


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
