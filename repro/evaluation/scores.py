"""Losses of the scored tokens of a text, and loss, perplexity and bits per byte with standard errors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from repro.corpus.packing import IGNORED
from repro.errors import UserError
from repro.evaluation.texts import Text
from repro.evaluation.windows import DOCUMENT, NEW, START, STOP

BLOCKS = 64  # blocks of neighbouring text, nearly independent of each other
LOGITS = 1 << 26  # logits at once: 256 MiB in fp32
SORTED = 4096  # windows sorted by length at a time, to reduce padding


def token_losses(network: Any, text: Text, windows: np.ndarray) -> np.ndarray:
    """Losses of the scored tokens in nats, (tokens,) fp32, in the order of `windows`.

    Raises:
        UserError: a loss is not finite.
    """
    device = next(network.parameters()).device
    vocab = network.get_output_embeddings().weight.shape[0]
    ends = np.cumsum(windows[:, STOP] - windows[:, NEW])
    losses = np.empty(ends[-1] if len(ends) else 0, np.float32)
    network.eval()
    with torch.inference_mode():
        for batch in batches(windows, vocab):
            inputs, labels = (torch.from_numpy(a).to(device) for a in rows(text, windows[batch]))
            logits = network(input_ids=inputs, use_cache=False).logits
            flat = logits.flatten(0, 1).float()
            found = F.cross_entropy(flat, labels.flatten(), ignore_index=IGNORED, reduction="none")
            asked = (labels != IGNORED).cpu().numpy()
            for index, of_window, scored in zip(batch, found.view(labels.shape).cpu().numpy(), asked, strict=True):
                mine = of_window[scored]
                losses[ends[index] - len(mine) : ends[index]] = mine
    if not np.isfinite(losses).all():
        raise UserError("a loss that is not finite", found=f"{np.isnan(losses).sum()} of {len(losses)} tokens")
    return losses


def batches(windows: np.ndarray, vocab: int, logits: int = LOGITS) -> Iterator[np.ndarray]:
    """Batches of window indices, of similar lengths and about `logits` logits each."""
    length = windows[:, STOP] - windows[:, START]
    for first in range(0, len(windows), SORTED):
        order = first + np.argsort(-length[first : first + SORTED], kind="stable")
        while len(order):
            at_once = max(1, logits // (int(length[order[0]]) * vocab))
            yield order[:at_once]
            order = order[at_once:]


def rows(text: Text, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels, (windows, longest - 1), padded at the right, where causal attention doesn't see it."""
    width = int((windows[:, STOP] - windows[:, START]).max()) - 1
    inputs = np.zeros((len(windows), width), np.int64)
    labels = np.full((len(windows), width), IGNORED, np.int64)
    for index, (document, start, new, stop) in enumerate(windows):
        tokens = text.documents[document]
        inputs[index, : stop - start - 1] = tokens[start : stop - 1]
        labels[index, new - start - 1 : stop - start - 1] = tokens[new:stop]
    return inputs, labels


@dataclass(frozen=True)
class Ratio:
    """A ratio of sums, and its standard error over blocks."""

    value: float
    se: float

    @classmethod
    def of(cls, above: np.ndarray, below: np.ndarray) -> Ratio:
        """above, below: numerator and denominator by block, (blocks,). For equal blocks, the error of a mean."""
        blocks, total = len(above), below.sum()
        value = above.sum() / total
        variance = blocks / (blocks - 1) * ((above - value * below) ** 2).sum() / total**2
        return cls(float(value), float(math.sqrt(variance)))

    def exp(self) -> Ratio | None:
        """The exponential, with its error by the first derivative; None on overflow."""
        try:
            value = math.exp(self.value)
        except OverflowError:  # e.g. per word, for a text without spaces
            return None
        return Ratio(value, value * self.se)

    def over(self, divisor: float) -> Ratio:
        return Ratio(self.value / divisor, self.se / divisor)


def summary(network: Any, text: Text, windows: np.ndarray) -> dict[str, Any]:
    """Columns of the evaluations table computed from the losses of the scored tokens.

    Raises:
        UserError: fewer tokens than blocks, or a loss that is not finite.
    """
    losses = token_losses(network, text, windows)
    if len(losses) < BLOCKS:
        scored_tokens, least = f"{len(losses)} scored tokens", f"at least {BLOCKS}"
        raise UserError("too little text", file=text.name, found=scored_tokens, expected=least)

    def by_block(values: np.ndarray) -> np.ndarray:
        return np.array([block.sum(dtype=np.float64) for block in np.array_split(values, BLOCKS)])

    def scored(by_document: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([by_document[row[DOCUMENT]][row[NEW] : row[STOP]] for row in windows])

    nats, tokens = by_block(losses), by_block(np.ones(len(losses)))
    bytes_, words = by_block(scored(text.bytes)), by_block(scored(text.words))
    loss = Ratio.of(nats, tokens)
    found: dict[str, Any] = {
        "documents": len(np.unique(windows[:, DOCUMENT])),
        "tokens": len(losses),
        "bytes": int(bytes_.sum()),
        "words": int(words.sum()),
        "loss": loss.value,
        "loss_se": loss.se,
        "loss_blocks": (nats / tokens).tolist(),
    }
    ratios = {
        "perplexity": loss.exp(),
        "word_perplexity": Ratio.of(nats, words).exp() if words.sum() else None,
        "bits_per_byte": Ratio.of(nats, bytes_).over(math.log(2)) if bytes_.sum() else None,
    }
    for name, ratio in ratios.items():
        found |= {name: ratio and ratio.value, f"{name}_se": ratio and ratio.se}
    return found
