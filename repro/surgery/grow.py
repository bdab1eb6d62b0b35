"""Growth that keeps what the model computes: every width doubled, or blocks added that change nothing yet.

Doubling is function-preserving initialisation (bert2BERT, arXiv 2110.07143): each neuron becomes two that are equal, and what
reads them has half the weights. Every neuron has the same multiplicity, which RMSNorm needs to be exact. Equal copies get
equal gradients, so whoever trains on must break the tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from repro.models.family import NORM
from repro.models.names import LINEARS, prefix
from repro.surgery.net import Net


def doubled(net: Net) -> Net:
    """The model with twice the d_model, mlp, heads and kv_heads, and the same logits to rounding."""
    spec, kv = net.spec, net.spec.shape.kv
    wide = replace(
        spec,
        d_model=2 * spec.d_model,
        mlp=2 * spec.mlp,
        heads=2 * spec.heads,
        kv_heads=2 * kv,
        head_dim=spec.shape.per_head,
    )
    weights = {name: _twice(weight, -1) for name, weight in net.weights.items()}
    weights[NORM] = weights[NORM] / 2  # the head, which may be the embedding, reads two equal halves
    for index in range(spec.layers):
        for module in LINEARS.values():
            key = f"{prefix(index)}{module}.weight"
            weights[key] = _twice(weights[key], 0) / 2
    return net.but(wide, {name: weight.contiguous() for name, weight in weights.items()})


def deepened(net: Net, after: Sequence[int]) -> Net:
    """The model with copies of some blocks, each after its original, which add nothing: the same logits to the bit.

    Their o_proj and down_proj are zero, and learn; with all weights zero they would have no gradient.

    Args:
        after: the blocks to copy, each once.
    """
    if len(set(after)) != len(after) or not set(after) <= set(range(net.spec.layers)):
        raise ValueError(f"blocks {list(after)} of {net.spec.layers}")
    weights = {name: weight for name, weight in net.weights.items() if not name.startswith("model.layers.")}
    place = 0
    for index in range(net.spec.layers):
        own = net.block(index)
        silent = ("o_proj", "down_proj")
        quiet = {
            name: torch.zeros_like(weight) if name.split(".")[1] in silent else weight.clone()
            for name, weight in own.items()
        }
        for block in (own, quiet) if index in after else (own,):
            weights |= {f"{prefix(place)}{name}": weight for name, weight in block.items()}
            place += 1
    return net.but(replace(net.spec, layers=place), weights)


def _twice(weight: torch.Tensor, dim: int) -> torch.Tensor:
    return torch.cat([weight, weight], dim)
