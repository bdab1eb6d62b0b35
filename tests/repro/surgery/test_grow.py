"""Growth: what a larger model computes, as plain transformers loads it, and how its copies learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from repro.errors import UserError
from repro.models.family import HEAD, shapes_of
from repro.models.names import LINEARS, prefix
from repro.spec import ModelSpec, SurgerySpec
from repro.surgery.catalogue import GROWTHS
from repro.surgery.depth import without_blocks
from repro.surgery.grow import NOISE, grow
from repro.surgery.net import Net
from tests.repro.surgery.nets import MEMBERS, calibration, close, logits, random_net

every_member = pytest.mark.parametrize("spec", MEMBERS.values(), ids=MEMBERS)
TOKENS = calibration(sequences=3, length=16, seed=9).tokens


def of_folder(net: Net, folder: Path) -> torch.Tensor:
    """Logits of the model as transformers loads it from a folder, with every weight there."""
    net.network().save_pretrained(folder)
    found: Any = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    model, said = found
    assert [kind for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if said[kind]] == []
    assert sum(parameter.numel() for parameter in model.parameters()) == net.spec.shape.total
    with torch.no_grad():
        return model.eval()(TOKENS).logits


@pytest.mark.parametrize("method", ["grow-width-noise", "grow-inner"])
@every_member
def test_wider_models_have_the_same_logits(spec: ModelSpec, method: str, tmp_path: Path) -> None:
    net = random_net(spec)
    grown = grow(net, method, 2, seed=4)
    stream = 2 if GROWTHS[method].grows == "width" else 1
    assert (grown.net.spec.d_model, grown.net.spec.mlp) == (stream * spec.d_model, 2 * spec.mlp)
    for name in ("heads", "kv"):
        assert getattr(grown.net.spec.shape, name) == 2 * getattr(spec.shape, name)
    assert grown.net.spec.shape.per_head == spec.shape.per_head
    assert grown.record["params_after"] == grown.net.spec.shape.total
    close(of_folder(grown.net, tmp_path), logits(net, TOKENS))


def test_equal_shares_noise_inside_and_three_copies_keep_the_logits_too() -> None:
    net = random_net()
    for method, factor in (("grow-width", 2), ("grow-inner-noise", 2), ("grow-width", 3), ("grow-width-noise", 3)):
        close(logits(grow(net, method, factor).net, TOKENS), logits(net, TOKENS))


@every_member
def test_blocks_that_add_nothing_leave_the_logits_to_the_bit(spec: ModelSpec, tmp_path: Path) -> None:
    net, factor = random_net(spec), 2 + (spec == MEMBERS["qwen"])
    deep = grow(net, "grow-depth-zero", factor).net
    assert deep.spec.layers == factor * spec.layers
    assert torch.equal(of_folder(deep, tmp_path), logits(net, TOKENS))
    back = without_blocks(deep, [place for place in range(deep.spec.layers) if place % factor])
    assert all(torch.equal(back.weights[name], weight) for name, weight in net.weights.items())


def test_blocks_that_add_nothing_learn_from_the_first_step() -> None:
    deep = grow(random_net(), "grow-depth-zero", 2).net
    for index in (1, 3, 5, 7):
        silent = [f"{prefix(index)}{LINEARS[name]}.weight" for name in ("o_proj", "down_proj")]
        assert not any(bool(deep.weights[name].any()) for name in silent)
        assert all(bool(gradients(deep)[name].any()) for name in silent)


def test_a_stacked_model_is_the_blocks_twice_in_their_order() -> None:
    net = random_net()
    deep = grow(net, "grow-depth-stack", 2).net
    for place in range(8):
        for name, weight in net.block(place % 4).items():
            assert torch.equal(deep.weights[f"{prefix(place)}{name}"], weight)
    assert all(torch.equal(deep.weights[name], net.weights[name]) for name in net.weights if "layers" not in name)
    assert not torch.allclose(logits(deep, TOKENS), logits(net, TOKENS), atol=0.1), "another function"


@pytest.mark.parametrize("method", ["grow-width", "grow-inner"])
def test_equal_copies_get_equal_gradients_and_unequal_ones_others(method: str) -> None:
    """Rows of equal copies of channels and heads, whose inputs are the same; and not a multiple, which AdamW divides out."""
    net = random_net()
    equal, apart = (gradients(grow(net, f"{method}{noise}", 2, seed=1).net) for noise in ("", "-noise"))
    for layer in ("gate_proj", "up_proj", "q_proj", "v_proj"):
        name = f"{prefix(1)}{LINEARS[layer]}.weight"
        one, other = equal[name].chunk(2)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-7)
        one, other = apart[name].chunk(2)
        ratios = (one / other).median(1).values.abs()
        assert float((ratios - 1).abs().median()) > 0.01, "other sizes"
        cosines = torch.nn.functional.cosine_similarity(one, other)
        assert float(cosines.max()) < 0.9999, "other directions"


def test_the_noise_is_of_its_size_and_of_its_seed_and_stands_in_what_reads() -> None:
    net = random_net()
    grown = {seed: grow(net, "grow-width-noise", 2, seed=seed) for seed in (0, 1)}
    assert grown[1].record | {"seed": 0} == grown[0].record
    assert grown[1].record["settings"] == {"noise": NOISE}
    again = grow(net, "grow-width-noise", 2, seed=1)
    equal = grow(net, "grow-width", 2)
    for name, weight in again.net.weights.items():
        assert torch.equal(weight, grown[1].net.weights[name])
        if weight.dim() == 2 and "embed" not in name:
            assert not torch.equal(weight, grown[0].net.weights[name])
            shares = weight / equal.net.weights[name]
            assert float((shares - 1).square().mean().sqrt()) == pytest.approx(NOISE, rel=0.05), name
            assert float(shares.min()) > 0
        else:
            assert torch.equal(weight, equal.net.weights[name])


def test_a_tied_head_reads_what_the_embedding_has_written_twice() -> None:
    spec = replace(MEMBERS["grouped, tied"], vocab=40)
    wide = grow(random_net(spec), "grow-width-noise", 2).net
    assert HEAD not in wide.weights
    one, other = wide.weights["model.embed_tokens.weight"].chunk(2, 1)
    assert torch.equal(one, other)


@pytest.mark.parametrize("method", GROWTHS)
def test_growth_leaves_the_smaller_model_as_it_was_and_makes_tensors_of_its_own(method: str) -> None:
    net = random_net()
    before = {name: weight.clone() for name, weight in net.weights.items()}
    grown = grow(net, method, 2).net
    assert {name: tuple(weight.shape) for name, weight in grown.weights.items()} == shapes_of(grown.spec)
    assert len({weight.data_ptr() for weight in grown.weights.values()}) == len(grown.weights), "none is shared"
    assert all(torch.equal(net.weights[name], weight) for name, weight in before.items())
    assert grow(net, method, 1).net is net


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_keep_their_precision(dtype: torch.dtype) -> None:
    net = random_net()
    net = replace(net, weights={name: weight.to(dtype) for name, weight in net.weights.items()})
    for method in GROWTHS:
        assert {weight.dtype for weight in grow(net, method, 2).net.weights.values()} == {dtype}


def test_depth_and_inner_width_by_one_factor_have_the_same_number_of_weights() -> None:
    for spec in MEMBERS.values():
        deep, wide = (SurgerySpec(method, factor=2).counts(spec) for method in ("grow-depth-zero", "grow-inner"))
        assert deep["linear_after"] == wide["linear_after"]


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ({"method": "grow"}, "method", "no such method"),
        ({"method": "grow-width"}, "factor", "no factor"),
        ({"method": "grow-width", "factor": 0}, "factor", "out of range"),
        ({"method": "grow-width", "factor": 1.5}, "factor", "wrong type"),
        ({"method": "grow-width", "factor": 2, "rate": 0.5}, "rate", "takes no rate"),
        ({"method": "grow-width", "factor": 2, "structure": "2:4"}, "structure", "takes no structure"),
        ({"method": "grow-width", "factor": 2, "seed": 1}, "seed", "takes no seed"),
        ({"method": "magnitude", "rate": 0.5, "factor": 2}, "factor", "takes no factor"),
    ],
)
def test_a_growth_that_cannot_be_is_refused(given: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        SurgerySpec(**given)
    assert caught.value.key == key


def test_a_factor_that_no_model_has_is_refused() -> None:
    for method, factor in (("grow-inner", 3), ("grow-depth-zero", 0), ("grow-width", 2**40)):
        with pytest.raises(UserError) as caught:
            grow(random_net(), method, factor)
        assert caught.value.key == "factor"


def gradients(net: Net) -> dict[str, torch.Tensor]:
    """Of the loss on TOKENS."""
    network = net.network().train()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    network(TOKENS, labels=TOKENS).loss.backward()
    return {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
