"""Layouts: the parameters of a module tree, and which stored tensors they are; those of public models by their tensors' names,
for files without a config that explains them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["linear", "embedding", "other", "buffer"]
# Buffers that older library versions stored with the weights: masks, positions, rotary frequencies.
BUFFER = re.compile(
    r"(?:^|\.)(?:(?:self_attn|attn|attention|crossattention|self_attention)\.(?:masked_)?bias"
    r"|rotary_emb\.\w*inv_freq|(?:rotary_emb\.)?(?:cos|sin)_cached|rope\.freqs|position_ids|token_type_ids"
    r"|num_batches_tracked|relative_position_index)$"
)


@dataclass(frozen=True)
class Slot:
    """A parameter of a module tree. shape: None if only its name is known. transposed: (in, out), as in Conv1D."""

    kind: Kind
    shape: tuple[int, ...] | None = None
    transposed: bool = False


@dataclass(frozen=True)
class Layout:
    """A known layout.

    Attributes:
        slots: parameters by their names in the tree.
        find: maps a stored name to its slot; None if there is none.
        tied: maps names of tied parameters to the parameter that they share.
        ignored: whether the model ignores a stored name.
        exact: whether the shapes are this model's rather than a class's defaults.
        optional: whether a slot may be missing from the files.
    """

    name: str
    slots: Mapping[str, Slot]
    find: Callable[[str], str | None]
    tied: Mapping[str, str] = field(default_factory=dict)
    ignored: Callable[[str], bool] = lambda name: False
    exact: bool = False
    optional: Callable[[str], bool] = lambda name: False


_LAYER = r"(?:layers|h|block|layer)\.\d+\."
_STEM = r"(?:(?:model|transformer|language_model|text_model|decoder|encoder|gpt_neox|bert|roberta)\.)*"
_LINEAR = re.compile(
    rf"{_STEM}(?:{_LAYER}(?:"
    # Llama, Qwen, Mistral, Gemma, Phi, OPT, StableLM, DeepSeek
    r"self_attn\.(?:[qkvo]|qkv|out|[qkv]_[ab]|kv_a|kv_b)_proj(?:_with_mqa)?|self_attn\.dense|self_attn\.W_pack"
    r"|mlp\.(?:gate|up|down|gate_up)_proj|(?:mlp\.)?fc[12]"
    # experts and their routers
    r"|mlp\.experts\.\d+\.(?:gate|up|down)_proj|mlp\.shared_experts?\.(?:gate|up|down)_proj"
    r"|mlp\.(?:gate|router|shared_expert_gate)|block_sparse_moe\.(?:gate|experts\.\d+\.w[123])"
    # GPT-2, GPT-J, GPT-NeoX, Falcon, BLOOM
    r"|(?:attn|crossattention)\.(?:c_attn|c_proj|q_attn)|mlp\.(?:c_fc|c_proj)"
    r"|attn\.(?:attention\.)?(?:[qkv]|out)_proj|mlp\.fc_(?:in|out)"
    r"|(?:self_)?attention\.(?:query_key_value|dense)|mlp\.dense_(?:h_to_4h|4h_to_h)"
    # T5
    r"|layer\.\d\.(?:SelfAttention|EncDecAttention)\.[qkvo]|layer\.\d\.DenseReluDense\.(?:wi|wi_[01]|wo)"
    # BERT
    r"|attention\.self\.(?:query|key|value)|attention\.output\.dense|intermediate\.dense|output\.dense"
    # consolidated files of Meta and Mistral
    r"|attention\.w[qkvo]|feed_forward\.(?:w[123]|gate|experts\.\d+\.w[123])"
    r")|lm_head(?:\.dense|\.decoder)?|embed_out|output|cls\.predictions\.transform\.dense|cls\.predictions\.decoder|pooler\.dense)\.weight"
    rf"|{_STEM}{_LAYER}(?:mlp|feed_forward)\.experts\.(?:gate_up|gate|up|down)_proj"
)
_EMBEDDING = re.compile(
    rf"{_STEM}(?:embeddings\.)?(?:embed_tokens|embed_in|wte|wpe|shared|tok_embeddings|embed_positions"
    r"|(?:word|position|token_type)_embeddings|block\.0\.layer\.0\.SelfAttention\.relative_attention_bias)\.weight"
)
_HEAD = re.compile(r"(?:.*\.)?(?:lm_head(?:\.decoder)?|embed_out|output|cls\.predictions\.decoder)\.weight")
_WORDS = re.compile(r".*(?:embed_tokens|embed_in|wte|shared|tok_embeddings|word_embeddings)\.weight")
_SMALL = re.compile(r"(?:[A-Za-z_]\w*\.|\d+\.)*(?:weight|bias|gamma|beta|layer_scalar|sinks)")
_CONV1D = re.compile(rf"{_STEM}h\.\d+\.(?:(?:attn|crossattention|mlp)\.c_(?:attn|proj|fc)|attn\.q_attn)\.weight")


def layout(shapes: Mapping[str, tuple[int, ...]], tied: bool | None) -> Layout:
    """The layout of the tensors with known names.

    Args:
        shapes: shapes of all stored tensors, by name.
        tied: whether head and embedding are tied, by the config; None: tied if no head is stored.
    """
    slots = {}
    for name, shape in shapes.items():
        if BUFFER.search(name):
            continue
        if _LINEAR.fullmatch(name) and len(shape) > 1:
            slots[name] = Slot("linear", shape, _CONV1D.fullmatch(name) is not None)
        elif _EMBEDDING.fullmatch(name):
            slots[name] = Slot("embedding", shape)
        elif len(shape) < 2 and _SMALL.fullmatch(name):
            slots[name] = Slot("other", shape)
    head = next((name for name in slots if _HEAD.fullmatch(name)), None)
    words = next((name for name in slots if _WORDS.fullmatch(name)), None)
    pair = {head or "lm_head.weight": words} if words and (head is None if tied is None else tied) else {}
    return Layout("the names of public models", slots, lambda name: name if name in slots else None, pair)
