"""The chunked loss is the plain one, and never holds the logits of a whole micro-batch."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from repro.corpus.packing import IGNORED
from repro.training import loss
from repro.training.loss import Head
from tests.repro.training.counting import Allocated

VOCAB, WIDTH, TOKENS = 300, 16, (3, 40)


def case(dtype: torch.dtype) -> tuple[Head, torch.Tensor, torch.Tensor]:
    """A head, its input with a gradient, and targets of which some are ignored."""
    random = torch.Generator().manual_seed(0)
    head = Head(WIDTH, VOCAB)
    with torch.no_grad():
        head.weight.normal_(generator=random)
    hidden = torch.randn(*TOKENS, WIDTH, generator=random)
    targets = torch.randint(0, VOCAB, TOKENS, generator=random)
    targets[0, 5:9] = targets[2, -1] = IGNORED
    return head.to(dtype), hidden.to(dtype).requires_grad_(), targets


def plain(head: Head, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(B, T) losses by torch's own functions, from logits in fp32 at least."""
    logits = F.linear(hidden, head.weight)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(wide.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none").view(TOKENS)


@pytest.mark.parametrize("chunk", [1 << 26, 7 * VOCAB, 1])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
def test_losses_and_gradients_are_those_of_the_whole_logits(
    dtype: torch.dtype, off: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "CHUNK", chunk)
    head, hidden, targets = case(dtype)
    scale = 0.37 / (targets != IGNORED).sum()
    expected = plain(head, hidden, targets)
    wanted = torch.autograd.grad(expected.sum() * scale, (hidden, head.weight))
    total, losses = head(hidden, targets)
    found = torch.autograd.grad(total * scale, (hidden, head.weight))
    exact = 1e-12 if dtype == torch.float64 else 1e-6  # logits are the same, and everything after them is in fp32
    torch.testing.assert_close(losses, expected, rtol=exact, atol=exact)
    torch.testing.assert_close(total, expected.sum(), rtol=exact, atol=exact)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype == dtype
        torch.testing.assert_close(one, other, rtol=off, atol=off * float(other.abs().max()))
    with torch.no_grad():
        assert torch.equal(head(hidden, targets)[1], losses)


def test_only_the_sum_has_a_gradient_and_an_ignored_token_none() -> None:
    head, hidden, targets = case(torch.float32)
    total, losses = head(hidden, targets)
    assert not losses.requires_grad
    assert torch.equal(losses == 0, targets == IGNORED)
    total.backward()
    assert hidden.grad is not None
    assert torch.equal((hidden.grad == 0).all(-1), targets == IGNORED)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_logits_of_a_micro_batch_never_exist_whole(dtype: torch.dtype) -> None:
    """Bytes allocated at once, counted on tensors without memory: 16 sequences of the paper's, at its vocabulary."""
    tokens, width, vocab = 16 * 2048, 768, 32_000
    with torch.device("meta"):
        head = Head(width, vocab).to(dtype)
        hidden = torch.zeros(tokens, width, dtype=dtype, requires_grad=True)
        targets = torch.zeros(tokens, dtype=torch.int64)
    with Allocated() as memory:
        total, _ = head(hidden, targets)
        total.backward()
    # Logits of a chunk in fp32, those before the cast in 16 bits, and the gradient of the weights twice.
    assert memory.peak < 4 * (4 * loss.CHUNK) + 4 * (4 * width * vocab) < 4 * tokens * vocab / 2
