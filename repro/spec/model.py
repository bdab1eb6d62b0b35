"""Which model, and from which weights it starts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from repro import ladder
from repro.bounds import positive, within
from repro.errors import UserError
from repro.spec.identity import LABEL


@dataclass(frozen=True)
class ModelSpec:
    """A Llama (RMSNorm, SwiGLU, RoPE, untied head). Field meanings: ladder.Shape; sequence is in tokens.

    init: "fan_in" is the authors' (linears N(0, 1/fan_in), query a further 1/sqrt(head_dim) smaller with
    attention scores not scaled, embedding N(0, 1)); "transformers" is N(0, .02^2) and scaled scores.
    """

    d_model: int
    layers: int
    heads: int
    mlp: int
    vocab: int
    sequence: int
    init: Literal["fan_in", "transformers"] = "fan_in"
    norm_eps: float = 1e-5
    rope_base: float = 10_000.0

    def __post_init__(self) -> None:
        within("sequence", self.sequence, 2, 2**24, "tokens")
        within("norm_eps", self.norm_eps, 0, 1)
        positive("rope_base", self.rope_base)
        _ = self.shape  # refuses impossible dimensions

    @cached_property
    def shape(self) -> ladder.Shape:
        return ladder.Shape(self.d_model, self.layers, self.heads, self.mlp, self.vocab)


@dataclass(frozen=True)
class StartSpec:
    """Weights to start from instead of the initialisation: `model` in a Hugging Face folder, of the run's own shape.

    sha256: of the weights (models.tensors.digest), wherever they lie. Masks are not taken over: a zero trains again
    until an event removes it; so what is sparse stays it with `shape: constant` and its own sparsity.
    """

    sha256: str
    model: str = field(metadata=LABEL)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise UserError("not a SHA-256", key="sha256", found=self.sha256, expected="64 hexadecimal digits")
