"""Causal attention without a mask: every row one sequence, or rows of documents that don't see each other.

transformers calls it by `NAME`. Because it registers no mask under that name, none is made, neither eagerly nor while
compiling; a dense mask would rule out the flash kernels and take (batch, 1, T, T) of memory traffic.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "causal_documents"


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    documents: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of each token to itself and the earlier tokens of its document.

    Args:
        module: the transformers attention layer; unused.
        query: (B, heads, T, head_dim).
        key, value: (B, kv_heads, T, head_dim); each serves heads / kv_heads neighbouring heads.
        attention_mask: must be None.
        scaling: factor of the scores.
        dropout: must be 0.
        documents: (documents + 1,) int32, where each document begins in the (B * T,) flattened tokens, and B * T at the
            end; no document continues into the next row. None: every row is one document.

    Returns:
        (B, T, heads, head_dim), and None for the scores, which are never formed.

    Raises:
        NotImplementedError: a mask, dropout or keys of a cache; a model that needs them takes transformers' own attention.
    """
    if attention_mask is not None or dropout or query.shape[2:] != key.shape[2:]:
        raise NotImplementedError("attention for training takes no mask, no dropout and no cached keys")
    if (shared := query.shape[1] // key.shape[1]) > 1:
        key, value = (x.repeat_interleave(shared, dim=1) for x in (key, value))
    if documents is None:
        out = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling).transpose(1, 2)
    elif query.device.type != "cpu":
        out = _by_kernel(query, key, value, documents, scaling)
    else:
        out = _by_mask(query, key, value, documents, scaling)
    return out.contiguous(), None


def _by_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, documents: torch.Tensor, scaling: float
) -> torch.Tensor:
    """On a GPU: the kernels for sequences of variable length, flash in 16 bits and memory-efficient in 32."""
    batch, heads, length, head_dim = query.shape
    # Flash takes head_dim in steps of 8. Zeros don't change scores, and their part of the result is cut off.
    q, k, v = (F.pad(x, (0, -head_dim % 8)).transpose(1, 2).flatten(0, 1) for x in (query, key, value))
    if query.dtype == torch.float32:
        # The factor goes into the query: PyTorch can't trace this kernel's backward pass with a factor of its own.
        out = torch.ops.aten._efficient_attention_forward(
            q.unsqueeze(0) * (scaling * q.shape[-1] ** 0.5),
            k.unsqueeze(0),
            v.unsqueeze(0),
            None,
            documents,
            documents,
            length,
            length,
            0.0,
            1,  # causal, from the first token of each document
            True,  # keeps what the backward pass needs
        )[0].squeeze(0)
    else:
        from torch.nn.attention.varlen import varlen_attn

        out = varlen_attn(q, k, v, documents, documents, length, length, scale=scaling, window_size=(-1, 0))
    return out.view(batch, length, heads, -1)[..., :head_dim]


def _by_mask(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, documents: torch.Tensor, scaling: float
) -> torch.Tensor:
    """On a CPU, which has no such kernel: a dense mask from the same `documents`."""
    batch, _, length, _ = query.shape
    place = torch.arange(batch * length, dtype=documents.dtype, device=documents.device)
    number = torch.bucketize(place, documents, right=True).view(batch, 1, length)
    seen = (number.unsqueeze(-1) == number.unsqueeze(-2)).tril()
    return F.scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=scaling).transpose(1, 2)


ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
