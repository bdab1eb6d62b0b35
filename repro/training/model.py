"""A transformers Llama that trains: its attention needs no mask, it returns losses, and it can be compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config

from repro.spec import ModelSpec
from repro.training import attention
from repro.training.loss import Head


class Llama(LlamaForCausalLM):
    """A Llama with the weights, names and logits of transformers', which returns losses where it is given targets."""

    def __init__(self, config: LlamaConfig):
        super().__init__(config)
        weight = self.lm_head.weight
        with torch.device("meta"):  # without memory or random numbers of its own
            self.lm_head = Head(config.hidden_size, config.vocab_size)
        self.lm_head.weight = weight
        self._chosen: Callable[..., Any] = self._losses

    def forward(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
        documents: torch.Tensor | None = None,
        **others: Any,
    ) -> Any:
        """What transformers' Llama returns, or losses.

        Args:
            input_ids: (B, T) int64.
            position_ids: (B, T) int64, a token's place in its document; None counts from each row's first token.
            targets: (B, T) int64, the token to predict at each place, packing.IGNORED for none.
            documents: see `attention.attention`; only with `targets`.

        Returns:
            Without `targets` transformers' output, for which `others` are arguments. With them the sum of all losses in
            nats, a scalar in fp32, and the loss of every token, (B, T) fp32, which has no gradient.
        """
        if targets is None:
            return super().forward(input_ids, position_ids=position_ids, **others)
        return self._chosen(input_ids, position_ids, targets, documents)

    def compile(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Compiles the computation of losses, as one graph with gradients and one without."""
        self._chosen = torch.compile(self._losses, fullgraph=True, dynamic=False, backend=backend)

    def _losses(
        self,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor | None,
        targets: torch.Tensor,
        documents: torch.Tensor | None,
    ) -> Any:
        hidden = self.model(
            input_ids=input_ids, position_ids=position_ids, use_cache=False, documents=documents
        ).last_hidden_state
        return self.lm_head(hidden, targets)


def config_of(spec: ModelSpec) -> LlamaConfig | Qwen2Config:
    """The transformers config of this model: a Llama's, or a Qwen-2's where queries, keys and values alone have biases."""
    return Qwen2Config(**_config(spec), use_sliding_window=False) if spec.biases == "qkv" else _llama(spec)


def _llama(spec: ModelSpec) -> LlamaConfig:
    attention, mlp = spec.biases in ("qkv", "attention", "all"), spec.biases in ("mlp", "all")
    return LlamaConfig(**_config(spec), attention_bias=attention, mlp_bias=mlp)


def _config(spec: ModelSpec) -> dict[str, Any]:
    """What the configs of both kinds say alike."""
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": spec.rope_base}
    if (scaling := spec.rope_scaling) is not None:
        rope |= {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_freq_factor,
            "high_freq_factor": scaling.high_freq_factor,
            "original_max_position_embeddings": scaling.original_context,
        }
    return {
        "vocab_size": spec.vocab,
        "hidden_size": spec.d_model,
        "intermediate_size": spec.mlp,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.shape.kv,
        "head_dim": spec.shape.per_head,
        "max_position_embeddings": spec.sequence,
        "rms_norm_eps": spec.norm_eps,
        "rope_parameters": rope,
        "tie_word_embeddings": spec.tied,
        "attention_dropout": 0.0,
        "use_cache": False,
    }


def build(spec: ModelSpec, seed: int) -> Llama:
    """The model in fp32 on the CPU; the same spec and seed give bit-identical weights."""
    config = _llama(spec)
    config._attn_implementation = attention.NAME
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Llama(config)
        if spec.biases == "qkv":  # a Qwen-2 is a Llama without the fourth bias
            for layer in model.model.layers:
                layer.self_attn.o_proj.register_parameter("bias", None)
        if spec.init == "fan_in":
            _fan_in(model, spec)
    return model


def _fan_in(model: Llama, spec: ModelSpec) -> None:
    """The authors' initialisation (paper, section 1): query weights are scaled instead of attention scores."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("embed_tokens.weight"):
                parameter.normal_(0.0, 1.0)
            elif parameter.dim() == 2:
                parameter.normal_(0.0, 1.0 / math.sqrt(parameter.shape[1]))
                if name.endswith("q_proj.weight"):
                    parameter.div_(math.sqrt(spec.shape.per_head))
    for layer in model.model.layers:
        layer.self_attn.scaling = 1.0


def spread(spec: ModelSpec, name: str, shape: torch.Size) -> float:
    """Standard deviation of the normal distribution from which a linear layer's weights are drawn at initialisation.

    Args:
        name: the parameter's name.
        shape: its shape, (outputs, inputs).
    """
    sd = 1.0 / math.sqrt(shape[1]) if spec.init == "fan_in" else float(config_of(spec).initializer_range)
    return sd / query_scale(spec, name)


def query_scale(spec: ModelSpec, name: str) -> float:
    """Factor from this model's parameter to that of a standard Llama, which scales its attention scores.

    Args:
        name: the parameter's name; only queries differ.
    """
    is_query = ".q_proj." in name
    return math.sqrt(spec.shape.per_head) if is_query and spec.init == "fan_in" else 1.0


def prunable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Weights of every linear layer, LM head included, by name, in the order of the model."""
    linears = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return {name: parameter for name, parameter in model.named_parameters() if name in linears}
