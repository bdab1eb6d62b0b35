"""A transformers Llama that trains: its attention needs no mask, it returns losses, and it can be compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

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


def build(spec: ModelSpec, seed: int) -> Llama:
    """The model in fp32 on the CPU; the same spec and seed give bit-identical weights."""
    config = config_of(spec)
    config._attn_implementation = attention.NAME
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Llama(config)
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
