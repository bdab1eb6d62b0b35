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
    '"fan_in" is the method of the paper\'s authors: linear layers N(0, 1/fan_in), embedding N(0, 1), and query weights '
    'divided by sqrt(head_dim) instead of attention scores; "transformers": N(0, .02^2), and attention scores divided'
)


@dataclass
class RopeScaling:
    """Llama 3's scaling of the rotary embedding, for contexts longer than the model was first trained on."""

    factor: Annotated[float, Above(0), "number by which the lowest frequencies are divided"]
    low_freq_factor: Annotated[
        float, Above(0), "ratio of context to wavelength below which frequencies are divided by `factor`"
    ]
    high_freq_factor: Annotated[float, Above(0), "ratio of context to wavelength above which frequencies stay"]
    original_context: Annotated[
        int, Between(1, 2**24, "tokens"), "context that the model was first trained on, in tokens"
    ]

    def __post_init__(self) -> None:
        if self.high_freq_factor <= self.low_freq_factor:
            message = "the range of divided frequencies overlaps that of unchanged ones"
            expected = f"more than low_freq_factor, {self.low_freq_factor:g}"
            raise UserError(message, key="high_freq_factor", found=self.high_freq_factor, expected=expected)


@dataclass
class ModelSpec:
    """A Llama (RMSNorm, SwiGLU, RoPE), or a Qwen-2.5, which is a Llama with biases in its query, key and value layers."""

    d_model: Annotated[int, Between(1, ladder.MOST["d_model"]), "width of the residual stream"]
    layers: Annotated[int, Between(1, ladder.MOST["layers"]), "number of blocks"]
    heads: Annotated[
        int,
        Between(1, ladder.MOST["heads"]),
        "attention heads; d_model must be a multiple of 2 * heads, or of heads if head_dim is given",
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
        int | None, Between(1, ladder.MOST["kv_heads"]), "key and value heads; null: as many as heads"
    ] = field(default=None, metadata=LATER)
    head_dim: Annotated[
        int | None, Between(2, ladder.MOST["head_dim"]), "width of an attention head; null: d_model / heads"
    ] = field(default=None, metadata=LATER)
    tied: Annotated[bool, "whether the LM head shares its weights with the embedding; they then count once"] = field(
        default=False, metadata=LATER
    )
    biases: Annotated[ladder.Biases, "which linear layers have a bias: none, or qkv as in Qwen-2.5"] = field(
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
