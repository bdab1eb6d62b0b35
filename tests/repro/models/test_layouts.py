"""`inspect` counts what the module tree of transformers counts, whatever the names in the files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from repro.__main__ import main
from tests.repro.models.families import (
    LAYERS,
    OFTEN,
    SELDOM,
    Capture,
    Family,
    State,
    inspected,
    named,
    of_the_tree,
    old_gpt2,
    rewrite,
    same,
)


@pytest.mark.parametrize(
    "family",
    [*OFTEN, *(pytest.param(family, marks=pytest.mark.full) for family in SELDOM)],
    ids=lambda family: family.name,
)
def test_a_layout_has_the_counts_of_its_module_tree(family: Family, tmp_path: Path, capsys: Capture) -> None:
    network = family.made()
    network.save_pretrained(tmp_path / "model")
    expected = of_the_tree(network, family.experts)
    found = inspected(tmp_path / "model", capsys)
    print(f"{family.name:<40}{found['linear_params']:>9,}{found['total_params']:>9,} {found['tied_embeddings']}")
    same(found, expected)
    assert (found["layout"], found["notes"], found["structure"]) == (family.name, [], "dense")
    if family.text:  # by its names alone; whether a head that isn't stored is tied, names tell too
        (tmp_path / "model" / "config.json").unlink()
        bare = inspected(tmp_path / "model", capsys)
        same(bare, expected)
        assert bare["layout"] == "the names of public models"


# ------------------------------------------------------------------------- names that libraries gave in other years


def old_neox(state: State) -> State:
    """As Pythia lies on the hub."""
    state = {name.replace("lm_head", "embed_out"): weight for name, weight in state.items()}
    for i in range(LAYERS):
        state[f"gpt_neox.layers.{i}.attention.bias"] = torch.ones(1, 1, 64, 64, dtype=torch.bool).tril()
        state[f"gpt_neox.layers.{i}.attention.masked_bias"] = torch.tensor(-1e9)
        state[f"gpt_neox.layers.{i}.attention.rotary_emb.inv_freq"] = torch.ones(1)
    return state


def old_llama(state: State) -> State:
    return state | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(4) for i in range(LAYERS)}


def old_bert(state: State) -> State:
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): weight
        for name, weight in state.items()
    }
    return renamed | {"bert.embeddings.position_ids": torch.arange(64).view(1, -1)}


def old_llava(state: State) -> State:
    """A language model inside, its head and all."""
    renamed = {}
    for name, weight in state.items():
        name = re.sub(r"^model\.(vision_tower|multi_modal_projector)", r"\1", name)
        name = re.sub(r"^model\.language_model\.", "language_model.model.", name)
        name = re.sub(r"^vision_tower\.(?!vision_model)", "vision_tower.vision_model.", name)
        renamed[re.sub(r"^lm_head", "language_model.lm_head", name)] = weight
    assert "language_model.lm_head.weight" in renamed
    return renamed | {"vision_tower.vision_model.embeddings.position_ids": torch.arange(5).view(1, -1)}


def old_qwen2_vl(state: State) -> State:
    renamed = {re.sub(r"^model\.language_model\.", "model.", name): weight for name, weight in state.items()}
    return {re.sub(r"^model\.visual\.", "visual.", name): weight for name, weight in renamed.items()}


def fused_experts(state: State) -> State:
    """Of transformers 5: the experts of a layer in two tensors of three dimensions."""
    fused = {name: weight for name, weight in state.items() if ".experts." not in name}
    for i in range(LAYERS):
        block = f"model.layers.{i}.block_sparse_moe.experts"
        gate, down, up = (torch.stack([state[f"{block}.{e}.w{w}.weight"] for e in range(4)]) for w in (1, 2, 3))
        fused[f"model.layers.{i}.mlp.experts.gate_up_proj"] = torch.cat([gate, up], dim=1)
        fused[f"model.layers.{i}.mlp.experts.down_proj"] = down
    return fused


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("GPT2LMHeadModel", old_gpt2),
        ("GPTNeoXForCausalLM", old_neox),
        ("LlamaForCausalLM", old_llama),
        ("BertForMaskedLM", old_bert),
        ("LlavaForConditionalGeneration", old_llava),
        ("Qwen2VLForConditionalGeneration", old_qwen2_vl),
        ("MixtralForCausalLM", fused_experts),
    ],
)
def test_the_names_of_other_years_give_the_same_counts(
    name: str, change: Callable[[State], State], tmp_path: Path, capsys: Capture
) -> None:
    family = named(name)
    network = family.made()
    network.save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", change)
    found = inspected(tmp_path / "model", capsys)
    same(found, of_the_tree(network, family.experts))
    assert found["notes"] == []
    same(inspected(tmp_path / "model" / "model.safetensors", capsys), of_the_tree(network, family.experts))
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["architectures"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    same(inspected(tmp_path / "model", capsys), of_the_tree(network, family.experts))
    if family.text:
        (tmp_path / "model" / "config.json").unlink()
        same(inspected(tmp_path / "model", capsys), of_the_tree(network, family.experts))


def test_the_parts_of_a_vision_language_model_are_counted_apart(tmp_path: Path, capsys: Capture) -> None:
    network = named("LlavaForConditionalGeneration").made()
    network.save_pretrained(tmp_path / "model")
    found = inspected(tmp_path / "model", capsys)
    expected = {
        "vision": of_the_tree(network.model.vision_tower),
        "projector": of_the_tree(network.model.multi_modal_projector),
        "language": of_the_tree(nn.ModuleList([network.model.language_model, network.lm_head])),
    }
    assert set(found["parts"]) == set(expected)
    for part, counts in expected.items():
        assert {key: found["parts"][part][key] for key in found["parts"][part]} == {
            key: counts[key] for key in found["parts"][part]
        }
    main(["inspect", str(tmp_path / "model")])
    assert "vision " in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------- tied or untied


@pytest.mark.parametrize(
    "name", ["GPT2LMHeadModel", "OPTForCausalLM", "T5ForConditionalGeneration", "GemmaForCausalLM"]
)
def test_a_config_that_is_silent_ties_as_its_class_does(name: str, tmp_path: Path, capsys: Capture) -> None:
    """Also where the file holds the head a second time, as files made of a pickle do."""
    network = named(name).made()
    network.save_pretrained(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config.pop("tie_word_embeddings", None)
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    expected = of_the_tree(network) | {"tied_embeddings": True}
    same(inspected(tmp_path / "model", capsys), expected)
    embedding = network.get_input_embeddings().weight.detach().clone()
    rewrite(tmp_path / "model", lambda state: state | {"lm_head.weight": embedding})
    same(inspected(tmp_path / "model", capsys), expected)
    embedding[0, 0] += 1  # which transformers loads as two
    rewrite(tmp_path / "model", lambda state: state | {"lm_head.weight": embedding})
    found = inspected(tmp_path / "model", capsys)
    assert found["tied_embeddings"] is False
    assert found["linear_params"] == expected["linear_params"] + embedding.numel()
    assert found["total_params"] == expected["total_params"] + embedding.numel()
    assert "they differ" in found["notes"][0]


@pytest.mark.parametrize("where", ["text_config", "top"])
def test_the_config_of_the_text_model_says_whether_its_head_is_tied(
    where: str, tmp_path: Path, capsys: Capture
) -> None:
    network = named("LlavaForConditionalGeneration").made()
    network.save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", old_llava)
    file = tmp_path / "model" / "config.json"
    config = json.loads(file.read_text())
    config.pop("tie_word_embeddings", None)
    config["text_config"].pop("tie_word_embeddings", None)
    part = config["text_config"] if where == "text_config" else config
    for tied in (False, True):
        part["tie_word_embeddings"] = tied
        file.write_text(json.dumps(config))
        if tied:
            rewrite(tmp_path / "model", lambda s: {n: w for n, w in s.items() if "lm_head" not in n})
        found = inspected(tmp_path / "model", capsys)
        assert found["tied_embeddings"] is tied
        head = network.lm_head.weight.numel()
        assert found["linear_params"] == of_the_tree(network)["linear_params"] - tied * head
        assert found["total_params"] == of_the_tree(network)["total_params"] - tied * head


def test_a_pair_of_neighbours_among_inputs_is_found_where_rows_are_inputs(tmp_path: Path, capsys: Capture) -> None:
    """GPT-2's Conv1D is (in, out): 2:4 runs down its columns."""
    network = named("GPT2LMHeadModel").made()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv1D):
                module.weight.view(-1, 4, module.weight.shape[1])[:, 2:] = 0
    network.save_pretrained(tmp_path / "model")
    found = inspected(tmp_path / "model", capsys, "--claim", "structure=2:4", "sparsity=.5")
    assert {layer["structure"] for layer in found["layers"]} == {"2:4"}
