"""The Llama family: the ModelSpec of a config.json, and names and shapes of a spec's parameters.

Members are Llama (1 to 3.2, SmolLM2 and others of that architecture) and Qwen-2 (and 2.5), a Llama with biases of queries,
keys and values. Anything else is refused, as are variants of these whose forward pass is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, PreTrainedConfig, Qwen2Config

from repro import strict
from repro.errors import UserError
from repro.models.config import check_sizes
from repro.models.folder import ModelFolder
from repro.models.names import LINEARS, prefix
from repro.spec import ModelSpec

MEMBERS: dict[str, type[Any]] = {"llama": LlamaConfig, "qwen2": Qwen2Config}
NORM = "model.norm.weight"
NORMS = ("input_layernorm", "post_attention_layernorm")


def config_in(model: ModelFolder) -> LlamaConfig | Qwen2Config:
    """The config of a model folder.

    Raises:
        UserError: it isn't of the family, or transformers can't read it.
    """
    kind = model.config.get("model_type")
    if not isinstance(kind, str) or kind not in MEMBERS:
        raise _other(
            "model_type", kind if kind is not None else "no model type", " or ".join(MEMBERS), model.config_file
        )
    try:
        return MEMBERS[kind].from_dict(check_sizes(model.config, model.config_file))
    except (TypeError, ValueError) as error:
        raise _other(None, str(error)[:300], "a config that transformers reads", model.config_file) from error


def spec_of(config: Any, file: object = None) -> ModelSpec:
    """The spec of a transformers config. Raises UserError if it is of another architecture, or a spec can't express it."""
    kind = getattr(config, "model_type", None)
    if kind not in MEMBERS:
        raise _other("model_type", kind, " or ".join(MEMBERS), file)
    if config.hidden_act != "silu":
        raise _other("hidden_act", config.hidden_act, "silu", file)
    if getattr(config, "use_sliding_window", False):
        raise _other("use_sliding_window", True, "false: every token sees all before it", file)
    if kind == "qwen2":
        biases = "qkv"
    else:
        biases = {(0, 0): "none", (1, 0): "attention", (0, 1): "mlp", (1, 1): "all"}[
            bool(config.attention_bias), bool(config.mlp_bias)
        ]
    found = {
        "d_model": config.hidden_size,
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "mlp": config.intermediate_size,
        "vocab": config.vocab_size,
        "sequence": config.max_position_embeddings,
        "init": "transformers",
        "norm_eps": config.rms_norm_eps,
        "kv_heads": config.num_key_value_heads,
        "head_dim": getattr(config, "head_dim", None),
        "tied": bool(config.tie_word_embeddings),
        "biases": biases,
    }
    return strict.build(ModelSpec, found | _rope(config, file), file=file)


def shapes_of(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters by name, in the order of the model; a tied head is the embedding."""
    found: dict[str, tuple[int, ...]] = {EMBEDDING: (spec.vocab, spec.d_model)}
    for block in range(spec.layers):
        found |= {f"{prefix(block)}{name}": shape for name, shape in block_shapes(spec).items()}
    found[NORM] = (spec.d_model,)
    return found if spec.tied else found | {HEAD: (spec.vocab, spec.d_model)}


def block_shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters of a block, by their names in the block."""
    found: dict[str, tuple[int, ...]] = {}
    for name, (rows, columns) in spec.shape.block.items():
        found[f"{LINEARS[name]}.weight"] = (rows, columns)
        if name in spec.shape.biased:
            found[f"{LINEARS[name]}.bias"] = (rows,)
    return found | {f"{norm}.weight": (spec.d_model,) for norm in NORMS}


def _rope(config: Any, file: object) -> dict[str, Any]:
    """The keys of a spec on the rotary embedding."""
    said = {key: value for key, value in (config.rope_parameters or {}).items() if value is not None}
    base, kind = said.pop("rope_theta", 10_000.0), said.pop("rope_type", "default")
    if said.pop("partial_rotary_factor", 1.0) != 1.0:
        raise _other("rope_parameters.partial_rotary_factor", "another than 1", "1", file)
    if kind == "default" and not said:
        return {"rope_base": float(base)}
    if kind != "llama3":
        raise _other("rope_parameters", f"{kind}: {said}"[:200], "default or llama3", file)
    scaling = {key: said.pop(key, None) for key in ("factor", "low_freq_factor", "high_freq_factor")}
    scaling = {key: None if value is None else float(value) for key, value in scaling.items()}
    scaling["original_context"] = said.pop("original_max_position_embeddings", None)
    if said or None in scaling.values():
        raise _other("rope_parameters", str(config.rope_parameters)[:200], "the five numbers of llama3", file)
    return {"rope_base": float(base), "rope_scaling": scaling}


def _other(key: str | None, found: object, expected: str, file: object) -> UserError:
    return UserError("a model of another architecture", file=file, key=key, found=found, expected=expected)


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
