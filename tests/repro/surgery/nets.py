"""Tiny members of the family with random weights, and calibration sets for them."""

from __future__ import annotations

from dataclasses import replace

import torch

from repro.models.family import shapes_of
from repro.spec import ModelSpec, RopeScaling
from repro.surgery.calibration_set import CalibrationSet
from repro.surgery.net import Net

PLAIN = ModelSpec(32, 4, 4, 48, 60, 16, init="transformers")
MEMBERS = {
    "plain": PLAIN,
    "grouped, tied": replace(PLAIN, kv_heads=2, tied=True),
    "qwen": replace(PLAIN, kv_heads=2, head_dim=12, biases="qkv", tied=True),
    "all biases": replace(PLAIN, biases="all", rope_scaling=RopeScaling(8.0, 1.0, 4.0, 8)),
}
PUBLISHED = replace(PLAIN, vocab=300, sequence=32, kv_heads=2, tied=True)  # with a tokenizer, in conftest


def random_net(spec: ModelSpec = PLAIN, seed: int = 0) -> Net:
    """A model whose every parameter is random: norms around 1, matrices by their inputs, biases small."""
    source = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes_of(spec).items():
        drawn = torch.randn(shape, generator=source)
        weights[name] = drawn / shape[1] ** 0.5 if len(shape) == 2 else drawn / 5 + name.endswith("norm.weight")
    return Net(spec, weights)


def calibration(spec: ModelSpec = PLAIN, sequences: int = 6, length: int = 12, seed: int = 0) -> CalibrationSet:
    tokens = torch.randint(0, spec.vocab, (sequences, length), generator=torch.Generator().manual_seed(seed))
    return CalibrationSet("random tokens", f"{seed:012d}", seed, tokens)


def logits(net: Net, tokens: torch.Tensor) -> torch.Tensor:
    """(sequences, T, vocab), by the plain transformers model."""
    with torch.no_grad():
        return net.network()(tokens).logits


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """To the rounding of fp32."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)


def squared_change(weights: torch.Tensor, hessian: torch.Tensor) -> float:
    """Of the outputs, summed over them, its mean over tokens, where a layer's weights change so: half the trace of W H W^T."""
    exact = weights.double()
    return float(0.5 * ((exact @ hessian) * exact).sum())
