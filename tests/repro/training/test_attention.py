"""Attention sees a token's own document and no mask is made for it, whichever device it runs on."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from repro.training.attention import attention
from tests.repro.training.counting import Reads, names

BATCH, HEADS, LENGTH, WIDTH = 2, 3, 16, 6
DOCUMENTS = [0, 5, 6, 16, 27, 32]  # where they begin in the flattened tokens; the second row begins at 16


def tensors(device: str = "cpu", dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    shape = (BATCH, HEADS, LENGTH, WIDTH)
    return [torch.randn(shape, generator=random).to(device, dtype).requires_grad_() for _ in ("query", "key", "value")]


def attended(given: list[torch.Tensor], documents: torch.Tensor | None) -> torch.Tensor:
    query, key, value = given
    return attention(torch.nn.Identity(), query, key, value, None, scaling=0.7, documents=documents)[0]


def test_documents_are_attended_to_as_if_each_were_alone() -> None:
    given = tensors()
    out = attended(given, torch.tensor(DOCUMENTS, dtype=torch.int32))
    flat = [x.transpose(1, 2).flatten(0, 1) for x in given]  # (B * T, heads, width)
    alone = []
    for a, b in pairwise(DOCUMENTS):
        query, key, value = (x[a:b].transpose(0, 1) for x in flat)
        alone.append(F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=0.7))
    expected = torch.cat([x.transpose(0, 1) for x in alone]).view(out.shape)
    torch.testing.assert_close(out, expected)
    mine, theirs = (torch.autograd.grad(x.square().sum(), given) for x in (out, expected))
    torch.testing.assert_close(mine, theirs)


def test_rows_of_one_document_are_those_of_no_documents() -> None:
    given = tensors()
    rows = torch.arange(0, (BATCH + 1) * LENGTH, LENGTH, dtype=torch.int32)
    torch.testing.assert_close(attended(given, rows), attended(given, None))


def test_a_mask_dropout_or_a_cache_is_refused() -> None:
    query, key, value = tensors()
    for last, mask, dropout in (
        (query, torch.ones(LENGTH, LENGTH), 0.0),
        (query, None, 0.1),
        (query[:, :, -1:], None, 0.0),
    ):
        with pytest.raises(NotImplementedError):
            attention(torch.nn.Identity(), last, key, value, mask, scaling=1.0, dropout=dropout)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_on_a_gpu_documents_take_a_kernel_of_variable_length_forward_and_backward_and_never_a_mask(
    dtype: torch.dtype,
) -> None:
    """On tensors without memory, for which all but a CPU's own way is taken: the operations and shapes are the real ones."""
    with torch.device("meta"), Reads() as seen:
        given = [torch.empty(BATCH, HEADS, LENGTH, WIDTH, dtype=dtype, requires_grad=True) for _ in "qkv"]
        out = attended(given, torch.empty(len(DOCUMENTS), dtype=torch.int32))
        out.sum().backward()
    assert out.shape == (BATCH, LENGTH, HEADS, WIDTH)
    assert [x.grad is not None and x.grad.shape for x in given] == [x.shape for x in given]
    kernel = "efficient_attention" if dtype == torch.float32 else "varlen_attn"
    assert len(names(seen.operations, kernel)) == 2, seen.operations
    assert not names(seen.operations, "scaled_dot_product") | names(seen.operations, "tril")
    assert not seen.waiting
