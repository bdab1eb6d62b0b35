"""Flatness of the held-out loss: the trace of its Hessian by the weights, estimated by Hutchinson's method.

Liu et al. (arXiv 2210.14199, section 4) find that of models of equal pre-training loss the flatter one, whose Hessian has
the smaller trace, does better downstream. With a vector v of independent signs E[v^T H v] = tr H, and a Hessian-vector
product takes one more backward pass through the gradient, so that H is never formed. Weights that were removed, the exact
zeros of linear layers, get v = 0: the trace is that over the weights that are there.

A trace depends on how a function is parametrised: rescaled weights have another. Compare models of one kind, and of the
runs of this suite either folders of runs or exports, whose queries differ by a factor (`training.model.query_scale`).

Attention runs on PyTorch's math kernel, because the flash and memory-efficient ones have no second derivative; the weights
are taken in fp32 whatever they were trained in, because differences of gradients in 16 bits are noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from repro.corpus.packing import IGNORED
from repro.errors import UserError
from repro.evaluation.scores import batches, rows
from repro.evaluation.texts import Text
from repro.evaluation.windows import NEW, STOP
from repro.training.model import prunable

LOGITS = 1 << 22  # logits at once, of which a second derivative keeps several copies: 16 MiB each in fp32
EVERYTHING, LINEAR = range(2)  # columns of `products`: all weights, and those of linear layers alone


@dataclass(frozen=True)
class Trace:
    """The trace of the Hessian over some weights.

    Attributes:
        value: nats per token, for weights in their own units. se: its standard error over the vectors.
        weights: how many weights it is over.
    """

    value: float
    se: float
    weights: int

    @classmethod
    def of(cls, products: np.ndarray, weights: int) -> Trace:
        """From v^T H v of each vector, (vectors,), at least two."""
        return cls(float(products.mean()), float(products.std(ddof=1) / math.sqrt(len(products))), weights)

    def over(self, other: Trace) -> tuple[float, float]:
        """The ratio to another trace and its standard error by first derivatives; the two have vectors of their own."""
        ratio = self.value / other.value
        return ratio, abs(ratio) * math.hypot(self.se / self.value, other.se / other.value)

    def columns(self, name: str) -> dict[str, Any]:
        """The trace, also by weight, with errors."""
        return {
            name: self.value,
            f"{name}_se": self.se,
            f"{name}_weights": self.weights,
            f"{name}_per_weight": self.value / self.weights,
            f"{name}_per_weight_se": self.se / self.weights,
        }


def kept(network: Any) -> tuple[int, int]:
    """Weights that are there, of all and of linear layers, in the order of the columns of `products`."""
    linear = prunable(network)
    there = sum(int(torch.count_nonzero(parameter)) for parameter in linear.values())
    rest = sum(parameter.numel() for name, parameter in network.named_parameters() if name not in linear)
    return there + rest, there


def products(
    network: Any,
    text: Text,
    windows: np.ndarray,
    vectors: int,
    seed: tuple[int, ...],
    advance: Callable[[int], object] = lambda tokens: None,
) -> np.ndarray:
    """v^T H v of each vector, over all weights and over those of linear layers, (vectors, 2), nats per token.

    The loss is the mean over the scored tokens of `windows`. A vector is the same for all of them, and on any device.

    Args:
        network: a transformers model in fp32 or wider.
        seed: of the vectors; two models need others for the errors of their traces to be independent.
        advance: called with the number of scored tokens after each batch of each vector.

    Raises:
        UserError: a product is not finite.
    """
    device = next(network.parameters()).device
    parameters = {name: parameter.requires_grad_() for name, parameter in network.named_parameters()}
    linear = prunable(network).keys()
    vocab = network.get_output_embeddings().weight.shape[0]
    scored = windows[:, STOP] - windows[:, NEW]
    found = np.zeros((vectors, 2))
    network.eval()
    for index in range(vectors):
        signs = _signs(parameters, linear, (*seed, index))
        for batch in batches(windows, vocab, LOGITS):
            inputs, labels = (torch.from_numpy(array).to(device) for array in rows(text, windows[batch]))
            with sdpa_kernel(SDPBackend.MATH):
                logits = network(input_ids=inputs, use_cache=False).logits
                loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
                by_name = _product(loss / int(scored.sum()), parameters, signs)
            found[index] += sum(by_name.values()), sum(by_name[name] for name in linear)
            advance(int(scored[batch].sum()))
    if not np.isfinite(found).all():
        raise UserError("a Hessian that is not finite", found=f"{(~np.isfinite(found)).sum()} of {found.size} products")
    return found


def _signs(
    parameters: Mapping[str, torch.Tensor], linear: Collection[str], seed: tuple[int, ...]
) -> dict[str, torch.Tensor]:
    """Independent signs for each weight, 0 for removed ones. Drawn on the CPU, so that any device has the same."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
    signs = {}
    for name, parameter in parameters.items():
        drawn = torch.randint(0, 2, parameter.shape, generator=generator, dtype=torch.int8).mul_(2).sub_(1)
        signs[name] = drawn.to(parameter.device, parameter.dtype)
        if name in linear:
            signs[name].mul_(parameter.detach() != 0)
    return signs


def _product(
    loss: torch.Tensor, parameters: Mapping[str, torch.Tensor], signs: Mapping[str, torch.Tensor]
) -> dict[str, float]:
    """The share of each tensor in v^T H v."""
    each = list(parameters.values())
    slopes = torch.autograd.grad(loss, each, create_graph=True, materialize_grads=True)
    along = torch.stack([(slope * signs[name]).sum() for name, slope in zip(parameters, slopes, strict=True)]).sum()
    curved = torch.autograd.grad(along, each, materialize_grads=True)
    return {
        name: float((signs[name] * of_name).sum(dtype=torch.float64))
        for name, of_name in zip(parameters, curved, strict=True)
    }
