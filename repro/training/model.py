"""A Llama from a ModelSpec, built by transformers and initialised as the spec says."""

from __future__ import annotations

import math

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from repro.spec import ModelSpec


def config_of(spec: ModelSpec) -> LlamaConfig:
    """What transformers calls this model."""
    return LlamaConfig(
        vocab_size=spec.vocab,
        hidden_size=spec.d_model,
        intermediate_size=spec.mlp,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        max_position_embeddings=spec.sequence,
        rms_norm_eps=spec.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": spec.rope_base},
        tie_word_embeddings=False,
        attention_bias=False,
        mlp_bias=False,
        attention_dropout=0.0,
        use_cache=False,
    )


def build(spec: ModelSpec, seed: int) -> LlamaForCausalLM:
    """The model in fp32 on the CPU; the same spec and seed give the same weights to the bit."""
    config = config_of(spec)
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        if spec.init == "fan_in":
            _fan_in(model, spec)
    return model


def _fan_in(model: LlamaForCausalLM, spec: ModelSpec) -> None:
    """The authors' initialisation (paper, section 1): attention scores are not scaled, the query weights are."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("embed_tokens.weight"):
                parameter.normal_(0.0, 1.0)
            elif parameter.dim() == 2:
                parameter.normal_(0.0, 1.0 / math.sqrt(parameter.shape[1]))
                if name.endswith("q_proj.weight"):
                    parameter.div_(math.sqrt(spec.shape.head_dim))
    for layer in model.model.layers:
        layer.self_attn.scaling = 1.0


def query_scale(spec: ModelSpec) -> float:
    """By what the query weights of the usual Llama, which scales its attention scores, are larger than this model's."""
    return math.sqrt(spec.shape.head_dim) if spec.init == "fan_in" else 1.0


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Weights of every linear layer, LM head included, by name, in the order of the model."""
    linears = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return {name: parameter for name, parameter in model.named_parameters() if name in linears}
