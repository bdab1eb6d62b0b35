"""A model of the family that trains is the transformers model of its config."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from repro.models.family import network, shapes_of, spec_of
from repro.models.names import linear_weights
from repro.spec import ModelSpec, RopeScaling
from repro.training import model

PLAIN = ModelSpec(32, 2, 4, 48, 60, 16, init="transformers")
MEMBERS = [
    PLAIN,
    replace(PLAIN, kv_heads=2, tied=True),
    replace(PLAIN, kv_heads=2, head_dim=12, biases="qkv"),
    replace(PLAIN, biases="all", rope_scaling=RopeScaling(8.0, 1.0, 4.0, 8), tied=True),
    replace(PLAIN, kv_heads=1, biases="attention"),
    replace(PLAIN, biases="mlp", head_dim=16),
]


@pytest.mark.parametrize("spec", MEMBERS, ids=range(len(MEMBERS)))
def test_what_trains_has_the_shapes_the_counts_and_the_losses_of_transformers(spec: ModelSpec) -> None:
    trains = model.build(spec, seed=1)
    weights = {name: torch.randn_like(weight) / 4 for name, weight in trains.named_parameters()}
    trains.load_state_dict(weights, strict=False)
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == shapes_of(spec)
    assert sum(weight.numel() for weight in weights.values()) == spec.shape.total
    assert list(model.prunable(trains)) == list(linear_weights(spec.shape))
    assert sum(weight.numel() for weight in model.prunable(trains).values()) == spec.shape.prunable
    plain = network(model.config_of(spec), weights)
    assert spec_of(plain.config) == spec
    tokens = torch.randint(0, 60, (2, 17), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, losses = trains(tokens[:, :-1], targets=tokens[:, 1:])
        logits = plain(tokens[:, :-1]).logits
    expected = torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("biases", ["none", "qkv"])
def test_small_queries_of_fan_in_are_scaled_with_their_biases(biases: str) -> None:
    spec = ModelSpec(32, 1, 2, 48, 60, 16, biases=biases)  # type: ignore[arg-type]
    trains = model.build(spec, seed=0)
    with torch.no_grad():
        for name, weight in trains.named_parameters():
            if name.endswith(".bias"):
                weight.normal_(0, 0.1)
    weights = {name: weight * model.query_scale(spec, name) for name, weight in trains.named_parameters()}
    plain = network(model.config_of(spec), {name: weight.detach() for name, weight in weights.items()})
    tokens = torch.arange(16).view(1, 16)
    with torch.no_grad():
        torch.testing.assert_close(trains(tokens).logits, plain(tokens).logits, rtol=1e-5, atol=1e-5)
