"""`prune`: counts to the weight, the same result for the same inputs, and what can't be pruned is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from repro.errors import UserError
from repro.models.names import LINEARS, prefix
from repro.spec import ModelSpec
from repro.surgery.amounts import blocks_at, groups_at, width_at
from repro.surgery.calibrate import mean_loss
from repro.surgery.catalogue import METHODS
from repro.surgery.depth import lowest_blocks, usual_protection, without_blocks
from repro.surgery.methods import prune
from repro.surgery.net import Made, Net, Spill, net_of
from tests.repro.surgery.nets import MEMBERS, PLAIN, calibration, random_net

MASKS = [name for name, one in METHODS.items() if one.removes == "weights"]
SMOL = ModelSpec(576, 30, 9, 1536, 49_152, 2048, rope_base=1e5, kv_heads=3, tied=True)


def zeros(net: Net) -> dict[str, int]:
    return {name: found for name, weight in net.weights.items() if (found := int((weight == 0).sum()))}


def pruned(method: str, rate: float | None = 0.25, **options: Any) -> Made:
    return prune(random_net(), method, rate, text=calibration(), **options)


def test_the_names_that_commands_and_sweeps_rely_on_are_there() -> None:
    names = "depth-ppl depth-taylor depth-influence width-taylor width-wanda random-depth random-width magnitude wanda"
    assert {*names.split(), "sparsegpt", "multiple-removal"} <= METHODS.keys()


@pytest.mark.parametrize("method", METHODS)
def test_the_same_weights_text_and_seed_give_the_same_bits_and_the_original_stays(method: str) -> None:
    net = random_net(MEMBERS["qwen"])
    before = {name: weight.clone() for name, weight in net.weights.items()}
    one, again = (prune(net, method, 0.25, text=calibration(net.spec), seed=3) for _ in range(2))
    assert one.record == again.record
    assert list(one.net.weights) == list(again.net.weights)
    assert all(torch.equal(weight, again.net.weights[name]) for name, weight in one.net.weights.items())
    assert all(torch.equal(net.weights[name], weight) for name, weight in before.items())
    assert json.loads(json.dumps(one.record))["rate_all"] == one.record["rate_all"]
    assert abs(one.record["rate_all"] - 0.25) < 0.15
    assert (one.record["calibration"] is not None) == METHODS[method].text
    assert (one.record["seed"] is not None) == METHODS[method].seeded


@pytest.mark.parametrize("method", ["random-depth", "random-width"])
def test_another_seed_draws_something_else(method: str) -> None:
    found = {json.dumps(pruned(method, seed=seed).record["removed"]) for seed in range(8)}
    assert len(found) > 2


@pytest.mark.parametrize("method", MASKS)
@pytest.mark.parametrize("rate", [0.1, 0.333])
def test_single_weights_go_exactly_as_the_rate_of_all_parameters_says(method: str, rate: float) -> None:
    made = pruned(method, rate)
    record, total = made.record, PLAIN.shape.total
    assert record["params_before"] - record["params_after"] == round(rate * total) == sum(zeros(made.net).values())
    assert zeros(made.net) == record["removed"]["weights"]
    assert record["rate_linear"] == pytest.approx(round(rate * total) / PLAIN.shape.prunable)
    assert not [name for name in zeros(made.net) if not name.startswith("model.layers.")]


@pytest.mark.parametrize("method", MASKS)
def test_two_of_four_go_in_every_group_of_the_blocks_that_the_rate_asks_for(method: str) -> None:
    every = pruned(method, None, structure="2:4")
    assert every.record["params_before"] - every.record["params_after"] == 4 * sum(
        PLAIN.shape.linears.values()
    ) // 8 - (PLAIN.vocab * PLAIN.d_model // 2)
    half = pruned(method, every.record["rate_all"] / 2, structure="2:4")
    assert half.record["rate_all"] == pytest.approx(every.record["rate_all"] / 2)
    assert {name.split(".")[2] for name in half.record["removed"]["weights"]} == {"1", "3"}
    for name in half.record["removed"]["weights"]:
        assert ((half.net.weights[name] == 0).view(-1, 4).sum(1) == 2).all()


def test_compensation_lessens_the_error_of_the_model_and_criteria_use_what_earlier_blocks_make() -> None:
    """The order that the algebra gives for a layer holds in the model's first block, where inputs are the same."""
    net, text = random_net(), calibration(sequences=40, length=16)
    errors = {}
    for method in ("wanda", "sparsegpt", "multiple-removal"):
        made = prune(net, method, None, structure="2:4", text=text)
        model, mine = net.network(), made.net.network()
        seen: list[torch.Tensor] = []
        model.model.layers[0].self_attn.q_proj.register_forward_pre_hook(
            lambda _, args, seen=seen: seen.append(args[0])
        )
        with torch.no_grad():
            model(text.tokens)
            change = mine.model.layers[0].self_attn.q_proj.weight - model.model.layers[0].self_attn.q_proj.weight
            errors[method] = float((seen[0] @ change.T).square().mean())
    assert errors["multiple-removal"] < errors["sparsegpt"] < errors["wanda"]


def test_depth_by_loss_removes_the_block_without_which_the_loss_is_lowest() -> None:
    net, text = random_net(), calibration()
    one_by_one = [mean_loss(without_blocks(net, [block]), text.tokens) for block in range(PLAIN.layers)]
    assert prune(net, "depth-ppl", 0.2, text=text).record["removed"]["blocks"] == [one_by_one.index(min(one_by_one))]


def test_the_published_rates_are_whole_blocks_of_public_models() -> None:
    assert [blocks_at(SMOL, rate) for rate in (0.15, 0.26, 0.35)] == [6, 10, 13]
    qwen = ModelSpec(896, 24, 14, 4864, 151_936, 32_768, kv_heads=2, tied=True, biases="qkv")
    assert [blocks_at(qwen, rate) for rate in (0.15, 0.25, 0.35)] == [5, 8, 12]
    assert usual_protection(32) == (4, 2)
    assert usual_protection(6) == (0, 0)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.35, 0.5])
def test_width_comes_as_near_to_the_rate_as_one_channel_of_every_block(rate: float) -> None:
    for spec in (*MEMBERS.values(), SMOL):
        groups, channels = width_at(spec, rate)
        shape = spec.shape
        narrow = replace(
            spec, heads=groups * shape.heads // shape.kv, kv_heads=groups, head_dim=shape.per_head, mlp=channels
        )
        found = 1 - narrow.shape.total / shape.total
        assert abs(found - rate) <= 0.5 * spec.layers * (3 * spec.d_model + 2) / shape.total
    assert width_at(SMOL, 0.35)[0] == 2


def test_equal_scores_keep_the_earlier_blocks_and_protected_ones_stay() -> None:
    equal = torch.ones(8)
    assert lowest_blocks(equal, 2, (0, 0)) == [6, 7]
    assert lowest_blocks(equal, 3, (1, 2)) == [3, 4, 5]
    with pytest.raises(UserError, match="leaves no block but the protected"):
        lowest_blocks(equal, 6, (1, 2))


@pytest.mark.parametrize("method", METHODS)
def test_a_rate_of_zero_is_the_model_itself(method: str) -> None:
    net = random_net()
    made = prune(net, method, 0.0, text=calibration())
    assert made.net is net
    assert (made.record["rate_all"], made.record["rate_linear"], made.record["removed"]) == (0, 0, {})


def test_bits_of_kept_weights_and_their_precision_stay_where_nothing_makes_up() -> None:
    source = random_net()
    net = replace(source, spec=PLAIN, weights={name: weight.bfloat16() for name, weight in source.weights.items()})
    for method in ("wanda", "width-wanda", "depth-influence", "sparsegpt"):
        made = prune(net, method, 0.25, text=calibration())
        assert {weight.dtype for weight in made.net.weights.values()} == {torch.bfloat16}
    wanda = prune(net, "wanda", 0.25, text=calibration())
    for name, weight in wanda.net.weights.items():
        assert torch.equal(weight, torch.where(weight == 0, 0, net.weights[name]))


REFUSED = [
    ({"method": "depth"}, "no such method", "method"),
    ({"rate": 1.0}, "rate out of range", "rate"),
    ({"rate": float("nan")}, "rate out of range", "rate"),
    ({"method": "depth-ppl", "rate": 0.95}, "leaves no block", "rate"),
    ({"method": "depth-ppl", "rate": 0.01}, "removes no block", "rate"),
    ({"method": "depth-ppl", "protect": (2, 2)}, "but the protected", "rate"),
    ({"method": "width-taylor", "rate": 0.9}, "leaves no channel", "rate"),
    ({"method": "width-taylor", "rate": 1e-4}, "removes nothing", "rate"),
    ({"method": "width-taylor", "groups": 1}, "can't be divided among the remaining heads", "groups"),
    ({"method": "width-taylor", "groups": 4}, "can't be divided among the remaining heads", "groups"),
    ({"method": "wanda", "rate": 0.95}, "leaves no weights", "rate"),
    ({"method": "wanda", "rate": 1e-6}, "removes no weight", "rate"),
    ({"method": "wanda", "rate": None}, "no rate", "rate"),
    ({"method": "wanda", "text": None}, "needs calibration text", "text"),
    ({"method": "wanda", "structure": "4:2"}, "no such structure", "structure"),
    ({"method": "wanda", "structure": "2:5"}, "rows that can't be divided", "structure"),
    ({"method": "wanda", "structure": "2:4", "rate": 0.7}, "doesn't reach", "rate"),
    ({"method": "wanda", "structure": "2:4", "rate": 0.01}, "doesn't reach", "rate"),
    ({"method": "depth-ppl", "structure": "2:4"}, "takes no structure", "structure"),
    ({"method": "wanda", "groups": 1}, "takes no groups", "groups"),
    ({"method": "random-width", "protect": (1, 1)}, "takes no protect", "protect"),
]


@pytest.mark.parametrize(("change", "message", "key"), REFUSED, ids=[str(change) for change, _, _ in REFUSED])
def test_what_can_not_be_pruned_so_is_refused_by_name(change: dict[str, Any], message: str, key: str) -> None:
    given: dict[str, Any] = {"method": "magnitude", "rate": 0.25, "text": calibration()} | change
    with pytest.raises(UserError, match=message) as error:
        prune(random_net(), **given)
    assert error.value.key == key
    assert None not in (error.value.found, error.value.expected)


def test_structure_with_one_block_is_counted_by_its_own_sizes() -> None:
    found = groups_at(PLAIN, (1, 4), None)
    assert sum(found.values()) == 3 * 4 * sum(rows * columns for rows, columns in PLAIN.shape.block.values()) // 4
    assert list(found)[:7] == [f"{prefix(0)}{module}.weight" for module in LINEARS.values()]


@pytest.mark.parametrize("name", ["model.layers.2.mlp.up_proj.weight", "lm_head.weight"])
def test_exact_zeros_among_the_kept_weights_are_refused(name: str) -> None:
    net = random_net()
    holed = net.weights[name].clone()
    holed[:, 0] = 0  # the first of equal scores is kept: of 48 zeros in a layer, 5 % leaves some
    with pytest.raises(UserError, match="exactly zero") as error:
        prune(replace(net, spec=PLAIN, weights={**net.weights, name: holed}), "magnitude", 0.01)
    assert error.value.key == name


def config_of_folder(folder: Path, **changes: Any) -> Path:
    random_net(MEMBERS["grouped, tied"]).network().save_pretrained(folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "message", "key"),
    [
        ({"model_type": "mamba"}, "another architecture", "model_type"),
        ({"model_type": None}, "another architecture", "model_type"),
        ({"hidden_act": "gelu"}, "another architecture", "hidden_act"),
        (
            {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}},
            "another arch",
            "rope_parameters",
        ),
        ({"num_hidden_layers": 5}, "weights that don't match the config", "model.layers.4.self_attn.q_proj.weight"),
        ({"intermediate_size": 40}, "weights that don't match the config", "model.layers.0.mlp.gate_proj.weight"),
        ({"tie_word_embeddings": False}, "weights that don't match the config", "lm_head.weight"),
        ({"num_key_value_heads": 3}, "can't be divided among the key", "kv_heads"),
    ],
)
def test_a_folder_with_another_model_is_refused_with_its_file(
    changes: dict[str, Any], message: str, key: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as error:
        prune(str(config_of_folder(tmp_path, **changes)), "magnitude", 0.25)
    assert error.value.key == key
    assert str(tmp_path) in str(error.value.file)
    assert None not in (error.value.found, error.value.expected)


def test_marks_of_texts_stay(tmp_path: Path) -> None:
    config_of_folder(tmp_path, bos_token_id=7, eos_token_id=[8, 9])
    made = prune(str(tmp_path), "random-depth", 0.2)
    config = made.net.network().config
    assert (config.bos_token_id, config.eos_token_id) == (7, [8, 9])
    assert net_of(made.net) is made.net


@pytest.mark.parametrize("method", ["wanda", "width-wanda"])
def test_what_is_kept_in_files_is_the_same_to_the_bit_and_leaves_none(method: str, tmp_path: Path) -> None:
    in_memory, in_files = pruned(method), pruned(method, keep=Spill(tmp_path))
    assert all(torch.equal(weight, in_files.net.weights[name]) for name, weight in in_memory.net.weights.items())
    assert list(in_memory.net.weights) == list(in_files.net.weights)
    assert list(tmp_path.iterdir()) == []
