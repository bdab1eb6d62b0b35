"""ModelSpec: the model of a run."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import Annotated, Literal

from repro import ladder
from repro.spec.identity import tag
from repro.strict import Above, Between, dataclass

Init = Literal["fan_in", "transformers"]
_INIT = (
    '"fan_in", the authors\': linear layers N(0, 1/fan_in), query weights also divided by sqrt(head_dim) instead of '
    'scaling attention scores, embedding N(0, 1); "transformers": N(0, .02^2) and scaled scores'
)


@dataclass
class ModelSpec:
    """A Llama (RMSNorm, SwiGLU, RoPE, untied head)."""

    d_model: Annotated[int, Between(1, ladder.MOST["d_model"]), "width of the residual stream"]
    layers: Annotated[int, Between(1, ladder.MOST["layers"]), "number of blocks"]
    heads: Annotated[int, Between(1, ladder.MOST["heads"]), "attention heads; d_model must be a multiple of 2 * heads"]
    mlp: Annotated[int, Between(1, ladder.MOST["mlp"]), "inner width of the SwiGLU block"]
    vocab: Annotated[int, Between(1, ladder.MOST["vocab"]), "rows of the embedding and of the head"]
    sequence: Annotated[int, Between(2, 2**24, "tokens"), "sequence length"]
    init: Annotated[Init, _INIT] = field(default="fan_in", metadata=tag(""))
    norm_eps: Annotated[float, Between(0, 1), "epsilon of the RMSNorms"] = 1e-5
    rope_base: Annotated[float, Above(0), "base of the rotary embedding"] = 10_000.0

    def __post_init__(self) -> None:
        _ = self.shape  # rejects impossible dimensions

    @cached_property
    def shape(self) -> ladder.Shape:
        return ladder.Shape(self.d_model, self.layers, self.heads, self.mlp, self.vocab)
