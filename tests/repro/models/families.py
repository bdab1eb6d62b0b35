"""Small models of many families, made by transformers, and what their module trees count."""

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


def named(name: str) -> Family:
    return next(family for family in (*OFTEN, *SELDOM) if family.name == name)


def old_gpt2(state: State) -> State:
    """As `gpt2` lies on the hub: no prefix, and masks of every layer beside the weights."""
    state = {name.removeprefix("transformer."): weight for name, weight in state.items()}
    for i in range(LAYERS):
        state[f"h.{i}.attn.bias"] = torch.ones(64, 64).tril().view(1, 1, 64, 64)
        state[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    return state
