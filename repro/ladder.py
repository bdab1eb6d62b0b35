"""Model sizes: parameter counts, FLOPs, and the dense partner of a sparse run. Pure arithmetic, no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from repro.errors import UserError

# Far above any real model: a typo must not start a search over a billion widths.
MOST = {
    "d_model": 2**20,
    "layers": 10_000,
    "heads": 2**17,
    "mlp": 2**24,
    "vocab": 2**27,
    "kv_heads": 2**17,
    "head_dim": 2**20,
}


Biases = Literal["none", "qkv", "attention", "mlp", "all"]


@dataclass(frozen=True)
class Shape:
    """Dimensions of a Llama.

    Attributes:
        d_model: width of the residual stream.
        layers: number of blocks.
        heads: attention heads; a divisor of d_model, as transformers wants it of a Llama.
        mlp: inner width of the SwiGLU block.
        vocab: rows of the embedding and of the LM head.
        kv_heads: heads of keys and values, each shared by heads / kv_heads heads; None: as many as heads.
        head_dim: width of a head, even (rotary embeddings need pairs); None: d_model / heads.
        tied: whether the LM head is the embedding.
        biases: which linear layers have one; see `biased`.
    """

    d_model: int
    layers: int
    heads: int
    mlp: int
    vocab: int
    kv_heads: int | None = None
    head_dim: int | None = None
    tied: bool = False
    biases: Biases = "none"

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            found = getattr(self, name)
            if found is None and name in ("kv_heads", "head_dim"):
                continue
            if not isinstance(found, int) or not 1 <= found <= most:
                raise UserError("dimension out of range", key=name, found=found, expected=f"1 to {most:,}")
        for name, allowed in (("tied", (True, False)), ("biases", get_args(Biases))):
            if (found := getattr(self, name)) not in allowed:
                expected = f"one of: {', '.join(map(str, allowed))}"
                raise UserError("value not allowed", key=name, found=found, expected=expected)
        if self.d_model % (self.heads if self.head_dim else 2 * self.heads):
            multiple = "heads" if self.head_dim else "2 * heads (an even head_dim)"
            found = f"{self.d_model} with {self.heads} heads"
            expected = f"a multiple of {multiple}"
            raise UserError("the width can't be divided among the heads", key="d_model", found=found, expected=expected)
        if self.heads % self.kv:
            message = "the heads can't be divided among the key and value heads"
            found = f"{self.kv_heads} with {self.heads} heads"
            raise UserError(message, key="kv_heads", found=found, expected="a divisor of heads")
        if self.per_head % 2:
            raise UserError(
                "the width of a head is odd", key="head_dim", found=self.head_dim, expected="an even number"
            )

    @property
    def kv(self) -> int:
        """Heads of keys and values."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def per_head(self) -> int:
        """Width of a head."""
        return self.d_model // self.heads if self.head_dim is None else self.head_dim

    @property
    def block(self) -> dict[str, tuple[int, int]]:
        """(outputs, inputs) of the linear layers of a block, by name."""
        queries, keys = self.heads * self.per_head, self.kv * self.per_head
        return {
            "q_proj": (queries, self.d_model),
            "k_proj": (keys, self.d_model),
            "v_proj": (keys, self.d_model),
            "o_proj": (self.d_model, queries),
            "gate_proj": (self.mlp, self.d_model),
            "up_proj": (self.mlp, self.d_model),
            "down_proj": (self.d_model, self.mlp),
        }

    @property
    def biased(self) -> tuple[str, ...]:
        """Linear layers that have a bias."""
        of = {"none": (0, 0), "qkv": (0, 3), "attention": (0, 4), "mlp": (4, 7), "all": (0, 7)}
        return tuple(self.block)[slice(*of[self.biases])]

    @property
    def linears(self) -> dict[str, int]:
        """Weights of the linear layers, by name, over all blocks; a tied head counts as the embedding."""
        found = {name: self.layers * rows * columns for name, (rows, columns) in self.block.items()}
        return found if self.tied else found | {"lm_head": self.d_model * self.vocab}

    @property
    def prunable(self) -> int:
        """Weights of every linear layer, LM head included (paper, section 2)."""
        return sum(self.linears.values())

    @property
    def per_block(self) -> int:
        """All parameters of a block: linear layers, their biases and two norms."""
        weights = sum(rows * columns for rows, columns in self.block.values())
        return weights + sum(self.block[name][0] for name in self.biased) + 2 * self.d_model

    @property
    def total(self) -> int:
        """All parameters: blocks, the last norm, embedding, and LM head unless tied."""
        return self.layers * self.per_block + self.d_model + (1 if self.tied else 2) * self.vocab * self.d_model


def effective_flops(weight_steps: int, tokens_per_step: int) -> float:
    """6 * tokens per step * sum of N_t: training FLOPs if masked weights cost nothing (paper, section 2)."""
    return 6.0 * tokens_per_step * weight_steps


def executed_flops(shape: Shape, tokens: int, sequence: int) -> float:
    """FLOPs on dense hardware: 6 * N_prunable * D plus causal attention scores, 6 * L * d * seq * D.

    A tied head multiplies as any other, though its weights count as the embedding's.
    """
    linear = shape.prunable + (shape.d_model * shape.vocab if shape.tied else 0)
    return 6.0 * linear * tokens + 6.0 * shape.layers * shape.heads * shape.per_head * sequence * tokens


def partner(
    shape: Shape,
    target: float,
    *,
    count: str = "prunable",
    mlp_multiple: int = 8,
    head_multiple: int = 2,
    tolerance: float = 1e-3,
    same_width: bool = False,
) -> Shape:
    """The dense partner: a model of about `target` parameters to compare a sparse run of `shape` with.

    It keeps the layers, heads and vocabulary of `shape`. Candidates are all widths d whose head_dim is a multiple of
    `head_multiple`, each with the mlp between 2.5 d and 6 d whose count is nearest the target. Of the candidates within
    `tolerance`, the one whose mlp/d is nearest that of `shape` is taken; if there is none, `mlp_multiple` is halved.

    Args:
        target: target count, for example the realised N_avg of the sparse run.
        count: "prunable" or "total": the count that must match.
        mlp_multiple: initial granularity of mlp; 8 at real sizes, 1 at tiny ones.
        head_multiple: granularity of head_dim, even. Attention kernels and tensor cores need 8 in bf16.
        tolerance: maximum relative distance from the target.
        same_width: whether the width is that of `shape`, too, and the mlp alone differs, whatever its ratio to the width.

    Raises:
        UserError: no candidate is within `tolerance`.
    """
    wanted_ratio = shape.mlp / shape.d_model
    nearest = math.inf
    while mlp_multiple >= 1:
        found = list(_candidates(shape, target, count, mlp_multiple, head_multiple * shape.heads, same_width))
        off = {candidate: abs(getattr(candidate, count) / target - 1) for candidate in found}
        close = [candidate for candidate in found if off[candidate] < tolerance]
        if close:
            return min(close, key=lambda one: abs(one.mlp / one.d_model - wanted_ratio))
        nearest = min((nearest, *off.values()))
        mlp_multiple //= 2
    away = "none in bounds" if nearest == math.inf else f"nearest is {nearest:.2%} away"
    expected = f"{count} within {tolerance:.2g} of {target:,.0f} (relative)"
    raise UserError("no dense partner is close enough", key="pairs", found=away, expected=expected)


def _candidates(
    shape: Shape, target: float, count: str, mlp_multiple: int, step: int, same_width: bool
) -> Iterator[Shape]:
    """For each width, a multiple of `step`: the mlp nearest to the target, if it is within bounds."""
    for width in (shape.d_model,) if same_width else range(step, 4 * shape.d_model + 1, step):
        base = replace(shape, d_model=width, mlp=mlp_multiple)
        per_mlp = 3 * width * shape.layers
        ideal = mlp_multiple + (target - getattr(base, count)) / per_mlp
        mlp = mlp_multiple * round(ideal / mlp_multiple)
        if 2.5 <= mlp / width <= 6 or (same_width and mlp > 0):
            yield replace(shape, d_model=width, mlp=mlp)
