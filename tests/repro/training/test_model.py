"""The model is the Llama that the spec says, weight for weight."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from repro.spec import ModelSpec
from repro.spec.model import Init
from repro.training import model

SMALL = ModelSpec(d_model=32, layers=2, heads=2, mlp=96, vocab=200, sequence=16)


def test_counts_are_the_ladders() -> None:
    network = model.build(SMALL, seed=0)
    assert sum(p.numel() for p in model.prunable(network).values()) == SMALL.shape.prunable
    assert sum(p.numel() for p in network.parameters()) == SMALL.shape.total
    assert "lm_head.weight" in model.prunable(network)
    assert network.lm_head.weight is not network.model.embed_tokens.weight


def test_fan_in_initialisation_has_the_authors_scales() -> None:
    network = model.build(replace(SMALL, d_model=128, mlp=512), seed=0)
    block = network.model.layers[0]
    assert network.model.embed_tokens.weight.std().item() == pytest.approx(1, rel=0.05)
    assert block.self_attn.k_proj.weight.std().item() == pytest.approx(1 / math.sqrt(128), rel=0.05)
    assert block.self_attn.q_proj.weight.std().item() == pytest.approx(1 / math.sqrt(128) / math.sqrt(64), rel=0.05)
    assert block.mlp.down_proj.weight.std().item() == pytest.approx(1 / math.sqrt(512), rel=0.05)


def test_unscaled_scores_with_small_queries_are_the_usual_attention() -> None:
    """With sqrt(head_dim) folded into the query weights and scaled scores, the logits are the same."""
    ours = model.build(SMALL, seed=0)
    usual = model.build(replace(SMALL, init="transformers"), seed=0)
    usual.load_state_dict(ours.state_dict())
    with torch.no_grad():
        for layer in usual.model.layers:
            layer.self_attn.q_proj.weight.mul_(math.sqrt(SMALL.shape.per_head))
        tokens = torch.arange(16).view(1, 16)
        assert torch.allclose(ours(tokens).logits, usual(tokens).logits, atol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_other_ones() -> None:
    first, again, other = (model.build(SMALL, seed=s).lm_head.weight for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("init", ["fan_in", "transformers"])
def test_a_linear_layers_weights_have_the_spread_that_is_said_of_them(init: Init) -> None:
    spec = ModelSpec(64, 1, 4, 96, 300, 32, init=init, kv_heads=2)
    for name, parameter in model.prunable(model.build(spec, 0)).items():
        sd, error = model.spread(spec, name, parameter.shape), (2 * parameter.numel()) ** -0.5
        assert float(parameter.detach().std()) == pytest.approx(sd, rel=4 * error), name
