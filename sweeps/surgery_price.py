"""What surgery costs a run before its first step: passes over its calibration text, and the algebra of adjusting the remaining weights.

All of it is done on the CPU by one thread, as workers of a sweep have (tuner.WORKER_ENV), while the run's devices wait. With c
the tokens of the calibration text, a method makes so many forward passes of c through the blocks (a backward pass counts as
two), and so many through the LM head, for losses. Methods that adjust the remaining weights also sum x x^T over c,
2 c n^2 for n inputs, and in float64, for a layer of `rows` x n, invert and factor an n x n matrix, 4/3 n^3, and correct the
weights, rows n^2; multiple removal solves one system for each row instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from repro import ladder
from repro.models.names import LINEARS, SITES, prefix
from repro.spec import ModelSpec, RunSpec, SurgerySpec

# Measured in CPU seconds on one core (2.9 GHz Xeon): products in fp32, and SparseGPT's algebra of 4,864 inputs in float64.
PASSES, ALGEBRA = 1e11, 3e10  # FLOP/s
BLOCK = 0.02  # seconds for each block of however small a model; a surgery of sweeps/p2.yaml takes .05 to .28


@dataclass(frozen=True)
class SurgeryPrice:
    """The cost of some surgeries. flops: of the passes and the algebra. seconds: on one thread."""

    runs: int
    flops: float
    seconds: float


def surgery_price(spec: RunSpec) -> SurgeryPrice:
    """Of a run's surgery; nothing where it has none, or one that needs no text."""
    surgery, before = spec.surgery, spec.model_before
    if surgery is None or before is None or surgery.calibration is None:
        return SurgeryPrice(0, 0.0, 0.0)
    passes, algebra = _passes(surgery, before), _algebra(surgery, before)
    return SurgeryPrice(1, passes + algebra, passes / PASSES + algebra / ALGEBRA + BLOCK * before.layers)


def total(prices: list[SurgeryPrice]) -> SurgeryPrice:
    return SurgeryPrice(sum(p.runs for p in prices), sum(p.flops for p in prices), sum(p.seconds for p in prices))


def forward_passes(method: str, layers: int) -> tuple[float, float]:
    """How often a method sends its text through all blocks and through the LM head; a backward pass counts as two."""
    return {
        "depth-ppl": (1 + (layers - 1) / 2, layers),  # to each block, and from each to the end without it
        "depth-taylor": (4, 3),  # forward; then block by block forward and backward
        "depth-influence": (1, 0),
        "depth-window": (1, 0),
        "width-taylor": (4, 3),
        "width-wanda": (2, 0),  # each block before it is pruned, and after
        "wanda": (2, 0),
        "dsnot": (2, 0),
        "sparsegpt": (2, 0),
        "multiple-removal": (2, 0),
    }[method]


def _passes(surgery: SurgerySpec, before: ModelSpec) -> float:
    calibration = surgery.calibration
    assert calibration is not None
    length = calibration.tokens or before.sequence
    tokens = calibration.sequences * length
    through_head = 2.0 * before.d_model * before.vocab * tokens
    through_blocks = ladder.executed_flops(before.shape, tokens, length) / 3 - through_head
    blocks, head = forward_passes(surgery.method, before.layers)
    grams = 0.0
    if surgery.method in ("sparsegpt", "multiple-removal"):
        inputs = {f"{LINEARS[name]}": columns for name, (_, columns) in before.shape.block.items()}
        grams = len(_blocks(surgery, before)) * sum(2.0 * tokens * inputs[site] ** 2 for site in SITES)
    return blocks * through_blocks + head * through_head + grams


def _algebra(surgery: SurgerySpec, before: ModelSpec) -> float:
    if surgery.method not in ("sparsegpt", "multiple-removal"):
        return 0.0
    total, zeros = 0.0, surgery.zeros(before)
    for block in _blocks(surgery, before):
        for name, (rows, columns) in before.shape.block.items():
            removed = zeros[f"{prefix(block)}{LINEARS[name]}.weight"] / rows  # of each row
            if surgery.method == "sparsegpt":
                total += 4 / 3 * columns**3 + rows * columns**2
            else:
                total += columns**3 + rows * (removed**3 / 3 + 2 * columns**2)
    return total


def _blocks(surgery: SurgerySpec, before: ModelSpec) -> list[int]:
    """The blocks that lose weights."""
    zeros = surgery.zeros(before)
    return [i for i in range(before.layers) if f"{prefix(i)}{LINEARS['down_proj']}.weight" in zeros]
