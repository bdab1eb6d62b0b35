"""A transformers model with given weights, without initialising any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedConfig

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def network(config: PreTrainedConfig, weights: Mapping[str, torch.Tensor]) -> Any:
    """The model of a config with these weights, which it shares, in evaluation mode; a tied head may be left out.

    Raises:
        RuntimeError: other names or shapes than the config's.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    if config.tie_word_embeddings and HEAD not in weights and EMBEDDING in weights:
        weights = {**weights, HEAD: weights[EMBEDDING]}
    model.load_state_dict(dict(weights), assign=True)
    model.tie_weights()
    model.model.rotary_emb = type(model.model.rotary_emb)(config)  # its frequencies are not among the weights
    eos = config.eos_token_id
    pad = eos[0] if isinstance(eos, list) else eos
    model.generation_config = GenerationConfig(bos_token_id=config.bos_token_id, eos_token_id=eos, pad_token_id=pad)
    return model.eval()
