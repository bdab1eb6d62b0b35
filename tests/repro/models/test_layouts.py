"""`inspect` counts what the module tree of transformers counts, whatever the names in the files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from repro.__main__ import main
from repro.models import rules, tree

Capture = pytest.CaptureFixture[str]
State = dict[str, torch.Tensor]
D, MLP, VOCAB, LAYERS, HEADS = 32, 48, 96, 2, 4
USUAL = {
    "hidden_size": D,
    "intermediate_size": MLP,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "vocab_size": VOCAB,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**USUAL, "num_key_value_heads": 2}
GEMMA = {**GROUPED, "head_dim": 8}
GPT2 = {"n_embd": D, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 64, "vocab_size": VOCAB}
T5 = {"d_model": D, "d_kv": 8, "d_ff": MLP, "num_layers": 2, "num_heads": 4, "vocab_size": VOCAB}
EXPERTS = {**GROUPED, "num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2}
MOE = {**EXPERTS, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 24, "head_dim": 8}
CLIP = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
QWEN_VISION = {"depth": 2, "embed_dim": 16, "hidden_size": D, "num_heads": 2, "mlp_ratio": 2, "patch_size": 14}


@dataclass(frozen=True)
class Family:
    """A model class and a tiny config; of its modules, those whose parameters are linear though they are no Linear."""

    name: str
    config: dict[str, Any]
    experts: str = ""
    text: bool = True

    def made(self) -> Any:
        torch.manual_seed(0)
        kind = getattr(transformers, self.name)
        config = kind.config_class(**self.config)
        return kind._from_config(config, dtype=torch.float32)


OFTEN = [
    Family("LlamaForCausalLM", {**GROUPED, "tie_word_embeddings": False}),
    Family("Qwen2ForCausalLM", {**GROUPED, "tie_word_embeddings": True}),
    Family("Qwen3ForCausalLM", GEMMA),
    Family("MistralForCausalLM", GROUPED),
    Family("GemmaForCausalLM", GEMMA),
    Family("GPT2LMHeadModel", GPT2),
    Family("GPTNeoXForCausalLM", USUAL),
    Family("OPTForCausalLM", {**USUAL, "ffn_dim": MLP, "word_embed_proj_dim": D}),
    Family("PhiForCausalLM", USUAL),
    Family("Phi3ForCausalLM", GROUPED),
    Family("T5ForConditionalGeneration", T5),
    Family("MixtralForCausalLM", EXPERTS, r"\.(experts\.\w+|gate\.weight)$"),
    Family("Qwen2MoeForCausalLM", MOE, r"\.(experts\.\w+|mlp\.gate\.weight)$"),
    Family("BertForMaskedLM", USUAL),
    Family(
        "LlavaForConditionalGeneration",
        {
            "text_config": {**GROUPED, "model_type": "llama"},
            "vision_config": {**CLIP, "model_type": "clip_vision_model"},
            "image_token_index": 5,
        },
        text=False,
    ),
    Family("Qwen2VLForConditionalGeneration", {"text_config": GROUPED, "vision_config": QWEN_VISION}, text=False),
]
SELDOM = [
    Family("LlamaForCausalLM", {**GROUPED, "tie_word_embeddings": True}),
    Family("Gemma2ForCausalLM", GEMMA),
    Family("Gemma3ForCausalLM", GEMMA),
    Family("StableLmForCausalLM", GROUPED),
    Family("FalconForCausalLM", USUAL),
    Family("BloomForCausalLM", {"hidden_size": D, "n_layer": 2, "n_head": 4, "vocab_size": VOCAB}),
    Family("GPTJForCausalLM", {**GPT2, "rotary_dim": 4}),
    Family("Qwen3MoeForCausalLM", MOE, r"\.(experts\.\w+|mlp\.gate\.weight)$"),
    Family("GptOssForCausalLM", {**MOE, "layer_types": None}, r"\.(experts\.\w+_proj|router\.weight)$", text=False),
    Family("OlmoForCausalLM", GROUPED),
    Family("CohereForCausalLM", GROUPED),
    Family("RobertaForMaskedLM", USUAL),
    Family(
        "DistilBertForMaskedLM",
        {"dim": D, "hidden_dim": MLP, "n_layers": 2, "n_heads": 4, "vocab_size": VOCAB},
        text=False,
    ),
    Family("MT5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-gelu"}),
    Family(
        "BartForConditionalGeneration",
        {
            "d_model": D,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_ffn_dim": MLP,
            "decoder_ffn_dim": MLP,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "vocab_size": VOCAB,
            "max_position_embeddings": 64,
        },
        text=False,
    ),
    Family(
        "Gemma3ForConditionalGeneration",
        {"text_config": GEMMA, "vision_config": CLIP, "mm_tokens_per_image": 4, "image_token_index": 5},
        text=False,
    ),
    Family(
        "Qwen2_5_VLForConditionalGeneration",
        {
            "text_config": {**GROUPED, "tie_word_embeddings": True},
            "tie_word_embeddings": True,
            "vision_config": {
                "depth": 2,
                "hidden_size": 16,
                "out_hidden_size": D,
                "num_heads": 2,
                "intermediate_size": 24,
                "patch_size": 14,
            },
        },
        text=False,
    ),
    Family(
        "MambaForCausalLM", {"hidden_size": D, "num_hidden_layers": 2, "vocab_size": VOCAB, "state_size": 4}, text=False
    ),
    Family("GPTBigCodeForCausalLM", GPT2),
    Family(
        "DeepseekV3ForCausalLM",
        {
            **USUAL,
            "moe_intermediate_size": 16,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "q_lora_rank": 8,
            "kv_lora_rank": 8,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 8,
            "num_key_value_heads": 4,
        },
        r"\.(experts\.\w+|mlp\.gate\.weight)$",
        text=False,
    ),
]


def of_the_tree(network: nn.Module, experts: str = "") -> dict[str, Any]:
    """Counts by the modules' classes and by which parameters are one and the same, and by nothing of `repro`."""
    embeddings = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    linear = {id(m.weight): m.weight for m in network.modules() if isinstance(m, (nn.Linear, Conv1D))}
    tied = any(key in embeddings for key in linear)
    linear = {key: weight for key, weight in linear.items() if key not in embeddings}
    if experts:
        more = {id(p): p for name, p in network.named_parameters() if re.search(experts, name) and p.ndim > 1}
        assert more
        linear |= more
    return {
        "linear_params": sum(weight.numel() for weight in linear.values()),
        "total_params": sum(p.numel() for p in {id(p): p for p in network.parameters()}.values()),
        "nonzero_linear_params": sum(int(weight.count_nonzero()) for weight in linear.values()),
        "tied_embeddings": tied,
    }


def inspected(path: Path, capsys: Capture, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    code = main(["inspect", str(path), "--json", *words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert {key: found[key] for key in expected} == expected


def rewrite(folder: Path, change: Callable[[State], State]) -> None:
    state = load_file(folder / "model.safetensors")
    save_file({name: t.contiguous() for name, t in change(state).items()}, folder / "model.safetensors")


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


def old_gpt2(state: State) -> State:
    """As `gpt2` lies on the hub: no prefix, and masks of every layer beside the weights."""
    state = {name.removeprefix("transformer."): weight for name, weight in state.items()}
    for i in range(LAYERS):
        state[f"h.{i}.attn.bias"] = torch.ones(64, 64).tril().view(1, 1, 64, 64)
        state[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    return state


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


def named(name: str) -> Family:
    return next(family for family in (*OFTEN, *SELDOM) if family.name == name)


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
