"""Part 2: what a step is made of, each by itself: attention by kernel, cross-entropy, masks, a pruning event."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.hour.part import Finding, Part
from bench.speed import settle, training
from repro.pruning.masks import packed, unpacked
from repro.resources import Resources
from repro.spec import ModelSpec

REPEATS = 7
CALLS = 5  # between two looks at the clock, so that a GPU works while the host prepares the next call, as in a step
Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Scale:
    """Sizes of the measurements: of one layer's attention (batch, heads, length, head_dim; mean lengths of documents), of the
    cross-entropy (tokens, width, vocabulary), of the masked weights, and the model of the event."""

    attention: tuple[int, int, int, int]
    document: int
    short_document: int
    loss: tuple[int, int, int]
    weights: int
    model: ModelSpec


LARGE = Scale(
    (16, 12, 2048, 64), 480, 30, (32_768, 768, 32_000), 138_000_000, ModelSpec(768, 12, 12, 3072, 32_000, 2048)
)
SMALL = Scale((2, 2, 64, 16), 20, 5, (256, 32, 300), 100_000, ModelSpec(32, 2, 2, 128, 300, 32))


def run(part: Part) -> None:
    scale, device = (SMALL, torch.device("cpu")) if part.cpu else (LARGE, torch.device("cuda"))
    _attention(part, scale, device)
    _loss(part, scale, device)
    _masks(part, scale, device)
    _event(part, scale)


def timed(once: Callable[[], object], device: torch.device) -> float:
    """Median ms of a call of CALLS in a row, after some that don't count."""
    calls = CALLS if device.type == "cuda" else 1
    taken = []
    for _ in range(REPEATS + 3):
        settle(device)
        began = time.perf_counter()
        for _ in range(calls):
            once()
        settle(device)
        taken.append(1e3 * (time.perf_counter() - began) / calls)
    return statistics.median(taken[3:])


def _add(
    part: Part,
    name: str,
    case: Callable[[], Callable[[], object]],
    device: torch.device,
    *,
    least: float | None = None,
    most: float | None = None,
) -> None:
    """Times what `case` makes and adds the finding, with an error where it can't be made; on a CPU nothing is expected."""
    if part.cpu:
        least = most = None
    try:
        part.add(Finding(name, timed(case(), device), "ms", least, most))
    except (RuntimeError, ImportError, NotImplementedError) as error:
        part.add(Finding(name, None, "ms", least, most, why=str(error).splitlines()[0][:200]))
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _attention(part: Part, scale: Scale, device: torch.device) -> None:
    from repro.training.attention import attention

    batch, heads, length, width = scale.attention
    starts, short = (document_starts(batch, length, mean).to(device) for mean in (scale.document, scale.short_document))

    def both(forward: Attend, width: int = width) -> Callable[[], object]:
        shape = batch, length, heads, width  # in memory, as the projections of a model leave it
        query, key, value = (
            torch.randn(shape, device=device, dtype=torch.bfloat16).transpose(1, 2).requires_grad_() for _ in range(3)
        )
        slope = torch.randn_like(forward(query, key, value))
        return lambda: torch.autograd.grad(forward(query, key, value), (query, key, value), slope)

    def by(kernel: SDPBackend, mask: torch.Tensor | None = None) -> Attend:
        def forward(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
            with sdpa_kernel(kernel):
                return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)

        return forward

    def ours(documents: torch.Tensor | None) -> Attend:
        def forward(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
            return attention(torch.nn.Module(), query, key, value, None, 1 / math.sqrt(width), documents=documents)[0]

        return forward

    causal = torch.ones(batch, 1, length, length, dtype=torch.bool, device=device).tril()
    odd = width - 4
    # Made one after the other, since each holds memory.
    cases: list[tuple[str, Callable[[], Callable[[], object]], float | None, float | None]] = [
        ("causal, flash", lambda: both(by(SDPBackend.FLASH_ATTENTION)), None, 1.5),
        ("dense mask", lambda: both(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=causal)), 2, 2.5),
        (f"dense mask, head_dim {odd}, math", lambda: both(by(SDPBackend.MATH, causal), odd), 25, 30),
        ("ours, one document a row", lambda: both(ours(None)), None, 1.5),
        (f"ours, documents of {scale.document} tokens", lambda: both(ours(starts)), None, 1.2),
        (f"ours, documents of {scale.short_document} tokens", lambda: both(ours(short)), None, None),
    ]
    if device.type == "cuda":
        cases += [
            ("causal, cuDNN", lambda: both(by(SDPBackend.CUDNN_ATTENTION)), None, 1.0),
            ("causal, memory-efficient", lambda: both(by(SDPBackend.EFFICIENT_ATTENTION)), None, 8.0),
        ]
    for name, case, least, most in cases:
        _add(part, f"attention, forward and backward: {name}", case, device, least=least, most=most)


def document_starts(batch: int, length: int, mean: int) -> torch.Tensor:
    """(documents + 1,) int32, where each document begins in rows of documents about `mean` tokens long, and the end."""
    lengths = np.random.default_rng(0).lognormal(math.log(mean) - 0.5, 1.0, 10 * batch * length // mean)
    inner = np.cumsum(np.maximum(1, lengths.astype(np.int64)))
    rows = np.arange(batch) * length
    return torch.from_numpy(np.append(np.union1d(inner[inner < batch * length], rows), batch * length).astype(np.int32))


def _loss(part: Part, scale: Scale, device: torch.device) -> None:
    from repro.training.loss import Head

    tokens, width, vocab = scale.loss
    labels = torch.randint(vocab, (1, tokens), device=device)

    def plain(logits: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())

    def of_logits(loss: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[], object]:
        logits = torch.randn(1, tokens, vocab, device=device, dtype=torch.bfloat16, requires_grad=True)
        return lambda: torch.autograd.grad(loss(logits), logits)

    def of_hidden(loss: Callable[[Head, torch.Tensor], torch.Tensor]) -> Callable[[], object]:
        head = Head(width, vocab).to(device, torch.bfloat16)
        hidden = torch.randn(1, tokens, width, device=device, dtype=torch.bfloat16, requires_grad=True)
        return lambda: torch.autograd.grad(loss(head, hidden), (hidden, head.weight))

    what = f"cross-entropy of {tokens:,} tokens by {vocab:,}, forward and backward: "
    _add(part, f"{what}eager", lambda: of_logits(plain), device, least=14, most=17)
    if not part.cpu:  # a compiler would take longer than the whole part
        _add(part, f"{what}compiled", lambda: of_logits(torch.compile(plain, dynamic=False)), device, least=4, most=5)
    _add(part, f"{what}plain, with the LM head", lambda: of_hidden(lambda head, x: plain(head(x))), device)
    _add(part, f"{what}ours in chunks, with the LM head", lambda: of_hidden(lambda head, x: head(x, labels)[0]), device)


def _masks(part: Part, scale: Scale, device: torch.device) -> None:
    gradient = torch.randn(scale.weights, device=device)
    bits = packed(torch.rand(scale.weights, device=device) > 0.8)
    name = f"masking {scale.weights:,} gradients"

    def once() -> object:
        return gradient.mul_(unpacked(bits, 0, scale.weights, gradient.dtype))

    _add(part, name, lambda: once, device, most=2.5)


def _event(part: Part, scale: Scale) -> None:
    from bench.hour.engines import spec_of, text_of

    text = text_of(part.texts)
    spec = replace(spec_of("bf16"), model=scale.model)
    resources = Resources(device="cpu" if part.cpu else "cuda", micro_batch=1)
    with training(spec, text, resources) as trainer:
        pruner, device = trainer.pruner, trainer.engine.device
        name = f"a pruning event of {pruner.total:,} weights"
        _add(part, name, lambda: lambda: pruner.event(0), device, most=100)
