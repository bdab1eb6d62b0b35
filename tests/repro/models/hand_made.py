"""Models made by hand: a small Llama whose linear layers have just the zeros that are asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

D, MLP, VOCAB, LAYERS = 64, 160, 96, 3
SHAPES = {
    "self_attn.q_proj": (D, D),
    "self_attn.k_proj": (D, D),
    "self_attn.v_proj": (D, D),
    "self_attn.o_proj": (D, D),
    "mlp.gate_proj": (MLP, D),
    "mlp.up_proj": (MLP, D),
    "mlp.down_proj": (D, MLP),
}
LINEAR = LAYERS * (4 * D * D + 3 * MLP * D) + VOCAB * D
TOTAL = LINEAR + VOCAB * D + (2 * LAYERS + 1) * D


def llama(dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Weights without a single zero."""
    made = {"model.embed_tokens.weight": (VOCAB, D), "model.norm.weight": (D,), "lm_head.weight": (VOCAB, D)}
    for i in range(LAYERS):
        block = f"model.layers.{i}"
        made |= {f"{block}.{name}.weight": shape for name, shape in SHAPES.items()}
        made |= {f"{block}.{name}.weight": (D,) for name in ("input_layernorm", "post_attention_layernorm")}
    draw = torch.Generator().manual_seed(0)
    return {name: (torch.rand(shape, generator=draw) + 0.5).to(dtype) for name, shape in made.items()}


def linears(state: dict[str, torch.Tensor]) -> list[str]:
    return [name for name in state if name.endswith("_proj.weight") or name == "lm_head.weight"]


def prune(weight: torch.Tensor, sparsity: float) -> None:
    """Takes round(sparsity * n) weights out, anywhere."""
    gone = torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(weight.numel()))
    weight.view(-1)[gone[: round(sparsity * weight.numel())]] = 0


def prune_groups(weight: torch.Tensor, n: int, m: int) -> None:
    """Leaves n of every m neighbours of a row, another n in each group."""
    groups = weight.view(-1, m)
    order = torch.rand(groups.shape, generator=torch.Generator().manual_seed(m)).argsort(dim=1)
    groups.scatter_(1, order[:, n:], 0)


def pruned(sparsity: float, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    state = llama(dtype)
    for name in linears(state):
        prune(state[name], sparsity)
    return state


def write(folder: Path, state: dict[str, torch.Tensor], shards: int = 1, **config: object) -> Path:
    """A Hugging Face folder of these weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "tie_word_embeddings": False, **config}))
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    where = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(state)}
    for file in set(where.values()):
        save_file({name: state[name] for name in state if where[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder


def header(entries: Any, data: int = 16) -> bytes:
    """A safetensors file of these entries, or of this text in their place."""
    text = (entries if isinstance(entries, str) else json.dumps(entries)).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


def entry(begin: int, end: int, shape: Any = (2, 2), dtype: str = "F32") -> dict[str, Any]:
    """What a file's header says of a tensor."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
