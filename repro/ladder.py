"""Model sizes: parameter counts, FLOPs, and the dense partner of a sparse run. Pure arithmetic, no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from repro.errors import UserError

# Far above any real model: a typo must not start a search over a billion widths.
MOST = {"d_model": 2**20, "layers": 10_000, "heads": 2**17, "mlp": 2**24, "vocab": 2**27}


@dataclass(frozen=True)
class Shape:
    """Dimensions of a Llama without biases and with an untied LM head.

    Attributes:
        d_model: width of the residual stream.
        layers: number of blocks.
        heads: attention heads; head_dim = d_model / heads, even (rotary embeddings need pairs).
        mlp: inner width of the SwiGLU block.
        vocab: rows of the embedding and of the LM head.
    """

    d_model: int
    layers: int
    heads: int
    mlp: int
    vocab: int

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise UserError(
                    "dimension out of range", key=name, found=getattr(self, name), expected=f"1 to {most:,}"
                )
        if self.d_model % (2 * self.heads):
            raise UserError(
                "width doesn't divide into heads",
                key="d_model",
                found=f"{self.d_model} with {self.heads} heads",
                expected="a multiple of 2 * heads (an even head_dim)",
            )

    @property
    def head_dim(self) -> int:
        return self.d_model // self.heads

    @property
    def linears(self) -> dict[str, int]:
        """Weights of the linear layers, by name, over all blocks."""
        square, wide = self.layers * self.d_model * self.d_model, self.layers * self.d_model * self.mlp
        return {
            "q_proj": square,
            "k_proj": square,
            "v_proj": square,
            "o_proj": square,
            "gate_proj": wide,
            "up_proj": wide,
            "down_proj": wide,
            "lm_head": self.d_model * self.vocab,
        }

    @property
    def prunable(self) -> int:
        """Weights of every linear layer, LM head included (paper, section 2)."""
        return sum(self.linears.values())

    @property
    def total(self) -> int:
        """All parameters: prunable, embedding and norms."""
        return self.prunable + self.vocab * self.d_model + (2 * self.layers + 1) * self.d_model


def effective_flops(weight_steps: int, tokens_per_step: int) -> float:
    """6 * tokens per step * sum of N_t: training FLOPs if masked weights cost nothing (paper, section 2)."""
    return 6.0 * tokens_per_step * weight_steps


def executed_flops(shape: Shape, tokens: int, sequence: int) -> float:
    """FLOPs on dense hardware: 6 * N_prunable * D plus causal attention scores, 6 * L * d * seq * D."""
    return 6.0 * shape.prunable * tokens + 6.0 * shape.layers * shape.heads * shape.head_dim * sequence * tokens


def partner(
    shape: Shape,
    target: float,
    *,
    count: str = "prunable",
    mlp_multiple: int = 8,
    head_multiple: int = 2,
    tolerance: float = 1e-3,
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

    Raises:
        UserError: no candidate is within `tolerance`.
    """
    wanted_ratio = shape.mlp / shape.d_model
    nearest: float | None = None
    while mlp_multiple >= 1:
        found = list(_candidates(shape, target, count, mlp_multiple, head_multiple * shape.heads))
        off = {candidate: abs(getattr(candidate, count) / target - 1) for candidate in found}
        close = [candidate for candidate in found if off[candidate] < tolerance]
        if close:
            return min(close, key=lambda one: abs(one.mlp / one.d_model - wanted_ratio))
        nearest = min((*off.values(), *(() if nearest is None else (nearest,))), default=None)
        mlp_multiple //= 2
    raise UserError(
        "no dense partner is close enough",
        key="pairs",
        found="none in bounds" if nearest is None else f"nearest is {nearest:.2%} away",
        expected=f"{count} within {tolerance:.2g} of {target:,.0f} (relative)",
    )


def _candidates(shape: Shape, target: float, count: str, mlp_multiple: int, step: int) -> Iterator[Shape]:
    """For each width, a multiple of `step`: the mlp nearest to the target, if it is within bounds."""
    for width in range(step, 4 * shape.d_model + 1, step):
        base = replace(shape, d_model=width, mlp=mlp_multiple)
        per_mlp = 3 * width * shape.layers
        ideal = mlp_multiple + (target - getattr(base, count)) / per_mlp
        mlp = mlp_multiple * round(ideal / mlp_multiple)
        if 2.5 <= mlp / width <= 6:
            yield replace(shape, d_model=width, mlp=mlp)
