"""The engine replays a model block by block as transformers runs it, and its gradients are autograd's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from repro.errors import UserError
from repro.evaluation.texts import Text
from repro.models import names
from repro.spec import ModelSpec
from repro.surgery import calibrate
from repro.surgery.calibrate import gradients
from repro.surgery.calibration_set import draw
from repro.surgery.depth import loss_without, taylor, turn, without_blocks
from repro.surgery.net import Net, net_of
from repro.surgery.width import by_channel, by_group
from repro.training import model as training
from tests.repro.surgery.nets import MEMBERS, PLAIN, calibration, random_net

every_member = pytest.mark.parametrize("spec", MEMBERS.values(), ids=MEMBERS)


def whole_loss(net: Net, tokens: torch.Tensor) -> tuple[float, dict[str, torch.Tensor], tuple[torch.Tensor, ...]]:
    """The mean loss, its gradients by parameter and the hidden states, of the plain transformers model."""
    model = net.network()
    out = model(tokens[:, :], output_hidden_states=True)
    loss = F.cross_entropy(out.logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters()}, out.hidden_states


@every_member
def test_blocks_in_turn_are_the_whole_model(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "TOKENS", 24)  # three passes of two sequences
    net, tokens = random_net(spec), calibration(spec).tokens
    loss, slopes, hidden = whole_loss(net, tokens)
    assert calibrate.mean_loss(net, tokens) == pytest.approx(loss, rel=1e-6)
    boundaries = [torch.cat(states) for states in calibrate.Replay(net, tokens).boundaries()]
    for mine, theirs in zip(boundaries[:-1], hidden, strict=False):  # transformers' last are after the norm
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    seen = []
    for index, found in gradients(net, tokens):
        seen.append(index)
        for name, slope in found.items():
            torch.testing.assert_close(slope, slopes[f"model.layers.{index}.{name}"], rtol=1e-4, atol=1e-6)
    assert seen == [3, 2, 1, 0]


def test_inputs_are_seen_as_the_layers_get_them() -> None:
    net, tokens = random_net(), calibration().tokens
    model = net.network()
    expected: dict[str, torch.Tensor] = {}
    for site in names.SITES:
        model.model.layers[2].get_submodule(site).register_forward_pre_hook(
            lambda _, args, site=site: expected.__setitem__(site, args[0].detach().flatten(0, -2))
        )
    model(tokens)
    replay = calibrate.Replay(net, tokens)
    states = replay.boundaries()[2]
    found: dict[str, torch.Tensor] = {}
    replay.block(2)
    replay.observe(states, found.__setitem__)
    for site, inputs in expected.items():
        torch.testing.assert_close(found[site], inputs, rtol=1e-5, atol=1e-5)


def test_replaying_changes_neither_the_model_nor_the_state_of_random_numbers() -> None:
    net, state = random_net(), torch.get_rng_state()
    before = {name: weight.clone() for name, weight in net.weights.items()}
    list(gradients(net, calibration().tokens))
    assert all(torch.equal(net.weights[name], weight) for name, weight in before.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_scores_of_blocks_are_what_their_definitions_say() -> None:
    net, tokens = random_net(), calibration().tokens
    without = [calibrate.mean_loss(without_blocks(net, [index]), tokens) for index in range(4)]
    torch.testing.assert_close(loss_without(net, tokens), torch.tensor(without, dtype=torch.float64))
    _, slopes, hidden = whole_loss(net, tokens)
    by_block = [
        sum(
            float((net.weights[name] * slope).abs().sum())
            for name, slope in slopes.items()
            if name.startswith(f"model.layers.{i}.")
        )
        for i in range(4)
    ]
    torch.testing.assert_close(taylor(net, tokens), torch.tensor(by_block, dtype=torch.float64), rtol=1e-5, atol=0)
    turns = [1 - F.cosine_similarity(hidden[i], hidden[i + 1], dim=-1).mean().item() for i in range(3)]
    assert turn(net, tokens, 1)[:3].tolist() == pytest.approx(turns, abs=1e-6)
    two = [1 - F.cosine_similarity(hidden[i], hidden[i + 2], dim=-1).mean().item() for i in range(2)]
    assert turn(net, tokens, 2)[:2].tolist() == pytest.approx(two, abs=1e-6)
    assert len(turn(net, tokens, 2)) == 3


@every_member
def test_sums_over_groups_and_channels_take_every_value_of_theirs_once(spec: ModelSpec) -> None:
    """All values but those of norms and of biases after the sum belong to exactly one group or channel."""
    block = {name: torch.rand(weight.shape) for name, weight in random_net(spec).block(0).items()}
    shared = [name for name in block if "norm" in name or name in ("self_attn.o_proj.bias", "mlp.down_proj.bias")]
    whole = sum(float(value.sum()) for name, value in block.items() if name not in shared)
    assert float(by_group(spec, block).sum() + by_channel(spec, block).sum()) == pytest.approx(whole, rel=1e-5)
    rows, width = slice(spec.shape.per_head, 2 * spec.shape.per_head), spec.shape.heads // spec.shape.kv
    wide = slice(width * spec.shape.per_head, 2 * width * spec.shape.per_head)
    second = sum(
        float(block[name][part].sum())
        for module, part in (("q_proj", wide), ("k_proj", rows), ("v_proj", rows))
        for name in (f"self_attn.{module}.weight", f"self_attn.{module}.bias")
        if name in block
    )
    second += float(block["self_attn.o_proj.weight"][:, wide].sum())
    assert by_group(spec, block)[1].item() == pytest.approx(second, rel=1e-5)


def a_text(*lengths: int) -> Text:
    documents = [np.arange(length, dtype=np.int64) for length in lengths]
    return Text("a.txt", "abc", "documents", None, documents, documents, documents)


def test_a_calibration_set_is_drawn_without_repetition_and_by_its_seed_alone() -> None:
    text = a_text(30, 50)
    one, again, other = (draw(text, 5, 8, seed) for seed in (1, 1, 2))
    assert torch.equal(one.tokens, again.tokens)
    assert one.to_dict() == again.to_dict()
    assert one.to_dict()["tokens_hash"] != other.to_dict()["tokens_hash"]
    stream = torch.tensor([*range(30), *range(50)]).view(10, 8).tolist()
    assert torch.equal(draw(text, 10, 8, 3).tokens, torch.tensor(stream))
    chosen = [stream.index(row) for row in one.tokens.tolist()]
    assert chosen == sorted(set(chosen))


def test_a_text_too_short_for_its_calibration_set_is_refused() -> None:
    with pytest.raises(UserError, match="calibration text too short") as error:
        draw(a_text(30, 49), 10, 8, 0)
    assert (error.value.file, error.value.found) == ("a.txt", "79 tokens, 9 sequences of 8")
    with pytest.raises(UserError, match="an empty calibration set"):
        draw(a_text(30), 0, 8, 0)


def test_tokens_that_the_model_has_not_and_sequences_past_its_context_are_refused() -> None:
    net = random_net()
    with pytest.raises(UserError, match="tokens outside the model's vocabulary"):
        calibrate.mean_loss(net, torch.full((1, 4), 60))
    with pytest.raises(UserError, match="longer than the model's context"):
        calibrate.mean_loss(net, torch.zeros(1, 17, dtype=torch.int64))


def test_what_is_not_finite_is_refused_by_name() -> None:
    net = random_net()
    broken = net.weights["model.layers.1.mlp.up_proj.weight"].clone()
    broken[3, 5] = torch.inf
    with pytest.raises(UserError, match="not finite") as error:
        replace(net, weights={**net.weights, "model.layers.1.mlp.up_proj.weight": broken})
    assert error.value.key == "model.layers.1.mlp.up_proj.weight"
    large = {name: weight * 1e30 if "layers.2.mlp" in name else weight for name, weight in net.weights.items()}
    with pytest.raises(UserError, match="not finite") as error:
        calibrate.mean_loss(replace(net, weights=large), calibration().tokens)
    assert str(error.value.key).startswith("model.layers.2 ")


def test_a_model_in_training_whose_scores_are_not_scaled_is_refused() -> None:
    with pytest.raises(UserError, match="not scaled") as error:
        net_of(training.build(replace(PLAIN, init="fan_in"), 0))
    assert error.value.key == "model.layers.0.self_attn.scaling"
