"""Weights as quantisers and other libraries store them, and layouts that aren't known or not whole."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from repro.__main__ import main
from repro.models import rules, tree
from tests.repro.models.families import (
    MLP,
    VOCAB,
    Capture,
    D,
    State,
    inspected,
    named,
    of_the_tree,
    old_gpt2,
    rewrite,
    same,
)

# ------------------------------------------------------------------------------------------------------ quantised


def scaled(state: State, kind: torch.dtype, scale: str, shape: Callable[[torch.Tensor], tuple[int, ...]]) -> State:
    made = {}
    for name, weight in state.items():
        if name.endswith("_proj.weight"):
            made[name] = (weight * 100).to(kind)
            made[name.replace("weight", scale)] = torch.rand(shape(weight))
            made[name.replace("weight", "input_scale")] = torch.rand(1)
        else:
            made[name] = weight
    return made


@pytest.mark.parametrize(
    ("kind", "scale", "shape"),
    [
        (torch.float8_e4m3fn, "weight_scale_inv", lambda w: (1, 1)),  # DeepSeek's blocks
        (torch.float8_e4m3fn, "weight_scale", lambda w: (w.shape[0], 1)),  # compressed-tensors, by channel
        (torch.float8_e5m2, "weight_scale", lambda w: ()),
        (torch.int8, "weight_scale", lambda w: (w.shape[0], 1)),
        (torch.int8, "SCB", lambda w: (w.shape[0],)),  # bitsandbytes
    ],
)
@pytest.mark.parametrize("bare", [False, True])
def test_scales_are_no_weights(
    kind: torch.dtype, scale: str, shape: Any, bare: bool, tmp_path: Path, capsys: Capture
) -> None:
    network = named("LlamaForCausalLM").made()
    network.save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", lambda state: scaled(state, kind, scale, shape))
    if bare:
        (tmp_path / "model" / "config.json").unlink()
    found = inspected(tmp_path / "model", capsys)
    expected = of_the_tree(network)
    state = load_file(tmp_path / "model" / "model.safetensors")
    expected["nonzero_linear_params"] = sum(
        int(w.float().count_nonzero()) for n, w in state.items() if n.endswith("_proj.weight") or n == "lm_head.weight"
    )
    same(found, expected)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("qweight", "qzeros", "scales", "g_idx"), "GPTQ or AWQ"),
        (("weight_packed", "weight_scale", "weight_shape"), "compressed-tensors"),
        (("weight.absmax", "weight.quant_map", "weight.quant_state.bitsandbytes__nf4", "weight"), "bitsandbytes"),
        (("weight", "weight_scale", "weight_zero_point"), "I8"),
        (("weight",), "I8"),
    ],
)
def test_packed_weights_are_named_and_not_counted(
    parts: tuple[str, ...], said: str, tmp_path: Path, capsys: Capture
) -> None:
    network = named("LlamaForCausalLM").made()
    network.save_pretrained(tmp_path / "model")

    def packed(state: State) -> State:
        module = "model.layers.0.mlp.up_proj"
        del state[f"{module}.weight"]
        numbers = {"weight": torch.int8, "scales": torch.float16, "weight_scale": torch.float16}
        return state | {f"{module}.{p}": torch.ones(4, 4).to(numbers.get(p, torch.int32)) for p in parts}

    rewrite(tmp_path / "model", packed)
    assert main(["inspect", str(tmp_path / "model")]) == 2
    err = capsys.readouterr().err
    assert "quantised weights can't be counted" in err
    assert said in err
    assert "up_proj" in err


# -------------------------------------------------------------------------------------------------- not known, or not whole


@pytest.mark.parametrize(
    "stranger",
    ["model.layers.0.self_attn.gate_of_mine.weight", "v_head.summary.weight", "model.layers.7.mlp.up_proj.weight"],
)
@pytest.mark.parametrize("config", ["its own", "none", "of an unknown model"])
def test_a_tensor_that_the_layout_does_not_know_ends_the_count(
    stranger: str, config: str, tmp_path: Path, capsys: Capture
) -> None:
    named("LlamaForCausalLM").made().save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", lambda state: state | {stranger: torch.ones(8, 8)})
    file = tmp_path / "model" / "config.json"
    if config == "none":
        file.unlink()
    elif config != "its own":
        file.write_text(json.dumps({"model_type": "llama_of_mine", "auto_map": {"AutoConfig": "code.Config"}}))
    code = main(["inspect", str(tmp_path / "model"), "--claim", "sparsity=0"])
    out, err = capsys.readouterr()
    if config == "its own" or "layers.7" not in stranger:
        assert (code, out) == (2, "")
        assert "unknown layout" in err
        assert stranger in err
    else:  # a layer more, by its name; no config says that there are two
        assert code == 0


def test_weights_that_the_config_asks_for_and_other_shapes_are_said(tmp_path: Path, capsys: Capture) -> None:
    network = named("LlamaForCausalLM").made()
    network.save_pretrained(tmp_path / "model")

    def damaged(state: State) -> State:
        del state["model.layers.1.mlp.up_proj.weight"]
        return state | {"model.embed_tokens.weight": torch.ones(VOCAB + 1, D)}

    rewrite(tmp_path / "model", damaged)
    found = inspected(tmp_path / "model", capsys)
    assert found["linear_params"] == of_the_tree(network)["linear_params"] - MLP * D
    assert "aren't stored: model.layers.1.mlp.up_proj.weight" in found["notes"][0]
    assert f"{VOCAB + 1} x {D}" in found["notes"][1]


def test_a_config_without_sizes_still_says_what_is_linear(tmp_path: Path, capsys: Capture) -> None:
    network = named("GPT2LMHeadModel").made()
    network.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "gpt2"}')
    rewrite(tmp_path / "model", old_gpt2)
    same(inspected(tmp_path / "model", capsys), of_the_tree(network))


def test_the_consolidated_file_of_meta_and_mistral_is_read(tmp_path: Path, capsys: Capture) -> None:
    network = named("MistralForCausalLM").made()
    names = {
        "model.embed_tokens": "tok_embeddings",
        "model.norm": "norm",
        "lm_head": "output",
        "model.layers": "layers",
        "self_attn.": "attention.",
        "_proj": "",
        "mlp.gate": "feed_forward.w1",
        "mlp.down": "feed_forward.w2",
        "mlp.up": "feed_forward.w3",
        "input_layernorm": "attention_norm",
        "post_attention_layernorm": "ffn_norm",
    }

    def renamed(name: str) -> str:
        for new, old in names.items():
            name = name.replace(new, old)
        return re.sub(r"attention\.([qkvo])\.", r"attention.w\1.", name)

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "params.json").write_text('{"dim": 32}')
    state = {renamed(name): weight for name, weight in network.state_dict().items()}
    assert "layers.0.attention.wq.weight" in state
    save_file(state, tmp_path / "model" / "consolidated.safetensors")
    same(inspected(tmp_path / "model", capsys), of_the_tree(network))


def test_rules_alone_count_what_trees_count(tmp_path: Path) -> None:
    """The weights of a model in the sizes of a public one, on the meta device: Llama 3.1 8B."""
    config = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32}
    config |= {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256}
    [layout, *_] = tree.layouts(config, 300)
    stored = {n: s.shape for n, s in layout.slots.items() if s.kind != "buffer" and s.shape is not None}
    by_name = rules.layout(stored, None)
    assert {name: slot.kind for name, slot in by_name.slots.items()} == {n: layout.slots[n].kind for n in stored}
