"""Weights become zero in one shot, without training: magnitude, Wanda, SparseGPT, multiple removal, DSnoT.

Blocks are pruned in order, each on the outputs of the pruned ones before it. Only linear layers of blocks are pruned: no
embedding, LM head, norm or bias. Wanda (arXiv 2306.11695) compares |w| times the norm of its input within each row; magnitude
compares |w| within each layer. Where the number to remove doesn't divide evenly by rows, rows differ by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from repro.errors import UserError
from repro.models.names import LINEARS, linear_weights, prefix
from repro.surgery import dsnot
from repro.surgery.calibrate import Progress, Replay
from repro.surgery.moments import Moments, observed
from repro.surgery.multiple_removal import multiple_removal
from repro.surgery.net import Keep, Net
from repro.surgery.ranking import lowest, lowest_of_groups, lowest_of_rows, spread
from repro.surgery.sparsegpt import sparsegpt


@dataclass(frozen=True)
class LinearLayer:
    """What a method may use to prune one linear layer: its weights, (outputs, inputs), and how many go, or all but N of M.

    seen: statistics of its inputs; None without calibration.
    """

    weight: torch.Tensor
    seen: Moments | None
    count: int
    n_of_m: tuple[int, int] | None

    @property
    def inputs(self) -> Moments:
        assert self.seen is not None
        return self.seen


Way = Callable[[LinearLayer], tuple[torch.Tensor, torch.Tensor]]  # gives the weights, and which are removed


def magnitude(layer: LinearLayer) -> torch.Tensor:
    """What magnitude removes, bool, (outputs, inputs)."""
    scores = layer.weight.abs()
    return lowest_of_groups(scores, *layer.n_of_m) if layer.n_of_m else lowest(scores, layer.count)


def wanda(layer: LinearLayer) -> torch.Tensor:
    """What Wanda removes, bool, (outputs, inputs)."""
    scores = layer.inputs.wanda(layer.weight)
    if layer.n_of_m:
        return lowest_of_groups(scores, *layer.n_of_m)
    return lowest_of_rows(scores, spread(layer.count, len(scores)))


def wanda_dsnot(layer: LinearLayer) -> torch.Tensor:
    """What is removed after DSnoT's swaps, bool, (outputs, inputs)."""
    return dsnot.improved(layer.weight, wanda(layer), layer.inputs, layer.n_of_m)


def _zeroing(choose: Callable[[LinearLayer], torch.Tensor]) -> Way:
    """Other weights stay as they are."""

    def way(layer: LinearLayer) -> tuple[torch.Tensor, torch.Tensor]:
        removed = choose(layer)
        return layer.weight.masked_fill(removed, 0), removed

    return way


def _compensating(prune: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> Way:
    """Other weights of a row make up for what is removed."""
    return lambda layer: prune(layer.weight, layer.inputs.hessian, layer.count, layer.n_of_m)


# By name: the function, and whether it needs the sum of x x^T of its inputs.
WAYS: dict[str, tuple[Way, bool]] = {
    "magnitude": (_zeroing(magnitude), False),
    "wanda": (_zeroing(wanda), False),
    "dsnot": (_zeroing(wanda_dsnot), False),
    "sparsegpt": (_compensating(sparsegpt), True),
    "multiple-removal": (_compensating(multiple_removal), True),
}


def one_shot(
    net: Net,
    way: str,
    counts: Mapping[str, int],
    tokens: torch.Tensor | None,
    n_of_m: tuple[int, int] | None = None,
    progress: Progress = None,
    keep: Keep = dict,
) -> Net:
    """The model with some weights zero.

    Args:
        way: a key of WAYS.
        counts: how many weights to remove, by parameter; layers that aren't named stay as they are.
        tokens: (sequences, T) int64; None for magnitude.
        keep: takes the pruned weights of one block and gives those to keep; see spill.Spill.

    Raises:
        UserError: numbers that are not finite, or exact zeros among the weights that are kept: training holds zeros as
            removed weights.
    """
    function, needs_gram = WAYS[way]
    weights = dict(net.weights)
    for key in linear_weights(net.spec.shape):
        if key not in counts:
            _check_zeros(weights[key], 0, net.file, key)
    replay = None if tokens is None else Replay(net, tokens)
    states = replay.inputs if replay else []
    for index in range(net.spec.layers):
        names = {f"{prefix(index)}{module}.weight": name for name, module in LINEARS.items()}
        mine = {key: name for key, name in names.items() if key in counts}
        seen: dict[str, Moments] = {}
        if replay:
            replay.block(index)
            seen = observed(replay, states, with_gram=needs_gram) if mine else {}
        for key, name in mine.items():
            layer = LinearLayer(weights[key].float(), seen.get(name), counts[key], n_of_m)
            weights[key] = _pruned(function, layer, net.file, key).to(weights[key].dtype)
            _check_zeros(weights[key], counts[key], net.file, key)
        if replay:
            replay.block(index, {name: weights[f"{prefix(index)}{name}"] for name in net.block(index)})
            states = replay.forward(states)
        weights |= keep({key: weights[key] for key in mine})
        if progress:
            progress(f"block {index + 1} of {net.spec.layers}")
    return replace(net, weights=weights)


def _pruned(function: Way, layer: LinearLayer, file: object, key: str) -> torch.Tensor:
    try:
        made, removed = function(layer)
    except UserError as error:
        raise error.located(file, key) from error
    if (found := int(removed.sum())) != layer.count:
        raise AssertionError(f"{key}: {found} weights removed instead of {layer.count}")
    return made


def _check_zeros(weight: torch.Tensor, removed: int, file: object, key: str) -> None:
    """Refuses a layer with zeros that were not removed."""
    if (zeros := int((weight == 0).sum())) != removed:
        message = "kept weights that are exactly zero, which training would take for removed ones"
        found = f"{zeros:,} zeros"
        raise UserError(message, file=file, key=key, found=found, expected=f"{removed:,}, as many as are removed")
