"""ModelSpec: the model of a run."""

from __future__ import annotations

from dataclasses import field, fields
from functools import cached_property
from typing import Annotated, Literal

from repro import ladder
from repro.errors import UserError
from repro.spec.identity import LATER, tag
from repro.strict import Above, Between, dataclass

Init = Literal["fan_in", "transformers"]
_INIT = (
    '"fan_in", the authors\': linear layers N(0, 1/fan_in), query weights also divided by sqrt(head_dim) instead of '
    'scaling attention scores, embedding N(0, 1); "transformers": N(0, .02^2) and scaled scores'
)


@dataclass
class RopeScaling:
    """Llama 3's frequencies of the rotary embedding, for contexts longer than the first training's."""

    factor: Annotated[float, Above(0), "by how much the lowest frequencies are divided"]
    low_freq_factor: Annotated[float, Above(0), "context over the wavelength from which on frequencies are divided"]
    high_freq_factor: Annotated[float, Above(0), "context over the wavelength up to which frequencies stay"]
    original_context: Annotated[int, Between(1, 2**24, "tokens"), "context of the first training"]

    def __post_init__(self) -> None:
        if self.high_freq_factor <= self.low_freq_factor:
            raise UserError(
                "frequencies that are divided and stay",
                key="high_freq_factor",
                found=self.high_freq_factor,
                expected=f"more than low_freq_factor, {self.low_freq_factor:g}",
            )


@dataclass
class ModelSpec:
    """A Llama (RMSNorm, SwiGLU, RoPE), or a Qwen-2.5, which is one with biases of queries, keys and values."""

    d_model: Annotated[int, Between(1, ladder.MOST["d_model"]), "width of the residual stream"]
    layers: Annotated[int, Between(1, ladder.MOST["layers"]), "number of blocks"]
    heads: Annotated[
        int,
        Between(1, ladder.MOST["heads"]),
        "attention heads; d_model must be a multiple of 2 * heads, of heads with its own head_dim",
    ]
    mlp: Annotated[int, Between(1, ladder.MOST["mlp"]), "inner width of the SwiGLU block"]
    vocab: Annotated[int, Between(1, ladder.MOST["vocab"]), "rows of the embedding and of the head"]
    sequence: Annotated[int, Between(2, 2**24, "tokens"), "sequence length"]
    init: Annotated[Init, _INIT] = field(default="fan_in", metadata=tag(""))
    norm_eps: Annotated[float, Between(0, 1), "epsilon of the RMSNorms"] = 1e-5
    rope_base: Annotated[float, Above(0), "base of the rotary embedding"] = 10_000.0
    rope_scaling: Annotated[RopeScaling | None, "Llama 3's scaling of the rotary embedding; null: none"] = field(
        default=None, metadata=LATER
    )
    kv_heads: Annotated[
        int | None, Between(1, ladder.MOST["kv_heads"]), "heads of keys and values; null: as many as heads"
    ] = field(default=None, metadata=LATER)
    head_dim: Annotated[int | None, Between(2, ladder.MOST["head_dim"]), "width of a head; null: d_model / heads"] = (
        field(default=None, metadata=LATER)
    )
    tied: Annotated[bool, "whether the LM head is the embedding, which then counts once"] = field(
        default=False, metadata=LATER
    )
    biases: Annotated[ladder.Biases, "linear layers with a bias; qkv: a Qwen-2.5"] = field(
        default="none", metadata=LATER
    )

    def __post_init__(self) -> None:
        # One model has one spec: what follows from the other dimensions anyway is not stated.
        if self.kv_heads == self.heads:
            object.__setattr__(self, "kv_heads", None)
        if self.head_dim is not None and self.head_dim * self.heads == self.d_model:
            object.__setattr__(self, "head_dim", None)
        _ = self.shape  # rejects impossible dimensions

    @cached_property
    def shape(self) -> ladder.Shape:
        return ladder.Shape(**{one.name: getattr(self, one.name) for one in fields(ladder.Shape)})
