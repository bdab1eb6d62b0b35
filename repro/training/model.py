"""Builds a Llama from a ModelSpec with transformers, with the spec's initialisation."""

from __future__ import annotations

import math

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from repro.spec import ModelSpec


def config_of(spec: ModelSpec) -> LlamaConfig:
    """The transformers config of this model."""
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
    """The model in fp32 on the CPU; the same spec and seed give bit-identical weights."""
    config = config_of(spec)
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        if spec.init == "fan_in":
            _fan_in(model, spec)
    return model


def _fan_in(model: LlamaForCausalLM, spec: ModelSpec) -> None:
    """The authors' initialisation (paper, section 1): query weights are scaled instead of attention scores."""
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
    """Factor from this model's query weights to those of a standard Llama, which scales its attention scores."""
    return math.sqrt(spec.shape.head_dim) if spec.init == "fan_in" else 1.0


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Weights of every linear layer, LM head included, by name, in the order of the model."""
    linears = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return {name: parameter for name, parameter in model.named_parameters() if name in linears}
