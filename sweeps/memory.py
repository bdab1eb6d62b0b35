"""Estimates of a worker's memory by ZeRO stage and micro-batch, and of a checkpoint's size. No torch.

States, in bytes per parameter (all parameters, W workers), held by DeepSpeed with the settings of repro/training/zero.py:

    stage   weights        gradients                        masters and moments
    0       2, fp32 4      bf16 2 and an fp32 copy 4; 4     12; 8 in fp32, whose weights are the masters
    1       2, fp32 4      2, fp32 4; an fp32 part 4/W      12/W
    2       2, fp32 4      summed in fp32 4/W               12/W
    3       2, fp32 4      summed in fp32 4/W               12/W; partitioned weights 2/W or 4/W beside the gathered

Stages 1 to 3 add the bucket in which gradients are reduced. At stage 3 all weights are gathered at once: its limit of
1e9 live parameters exceeds every size here. Masks take one bit per prunable weight.

Activations, in bytes per token of the micro-batch, counted for transformers' Llama without recomputation and with fused
attention (no scores are stored): a block stores 26 d + 8 mlp in bf16 (its two norms compute in fp32: input, 4 d,
scaled value, 2 d, and output, 2 d; attention's q, k, v and output and its contiguous copy, 10 d; gate, silu(gate),
up and their product, 8 mlp) and 44 d + 16 mlp in fp32. The loss stores 10 bytes per vocabulary entry in bf16 (logits 2,
their fp32 copy 4, log-softmax 4) and 12 in fp32 (logits, log-softmax, its gradient).
"""

from __future__ import annotations

from dataclasses import dataclass

from repro.resources import Resources
from repro.spec import RunSpec

BUCKET = 500_000_000  # elements, as in repro/training/zero.py (which imports torch)
USABLE = 0.9  # share of a device's memory: the CUDA context, NCCL's buffers and fragmentation take the rest


@dataclass(frozen=True)
class Memory:
    """Peak bytes of one worker. optimizer: fp32 masters, moments and masks. gradients: including their bucket."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def states(self) -> float:
        """Bytes that don't depend on the micro-batch."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> float:
        return self.states + self.activations


def per_worker(spec: RunSpec, *, workers: int, zero_stage: int, micro_batch: int) -> Memory:
    """The memory of one worker of a run.

    Args:
        spec: the run.
        workers: W, the number of data-parallel processes.
        zero_stage: 0 to 3.
        micro_batch: sequences per forward pass.
    """
    half, shape, model = spec.precision == "bf16", spec.model.shape, spec.model
    total, narrow = shape.total, 2 if half else 4
    masks = shape.prunable / 8
    if zero_stage == 0:
        weights, gradients, optimizer = narrow, 6.0 if half else 4.0, 12.0 if half else 8.0
    else:
        weights, optimizer = narrow, 12 / workers
        gradients = (narrow if zero_stage == 1 else 0) + 4 / workers
    bucket = narrow * min(total, BUCKET) if zero_stage else 0
    partition = narrow * total / workers if zero_stage == 3 else 0
    block = 26 * shape.d_model + 8 * shape.mlp if half else 44 * shape.d_model + 16 * shape.mlp
    per_token = shape.layers * block + (10 if half else 12) * shape.vocab
    return Memory(
        weights * total + partition,
        gradients * total + bucket,
        optimizer * total + masks,
        float(per_token * micro_batch * model.sequence),
    )


def fits(memory: Memory, device: float | None) -> bool | None:
    """Whether a worker fits a device of so many bytes; None if the device's memory is unknown."""
    return None if device is None else memory.total <= USABLE * device


def fitting_micro_batch(spec: RunSpec, resources: Resources, workers: int, device: float | None) -> int | None:
    """The largest micro-batch that fits, at most the declared one, and divides a worker's share; None if none does."""
    share = spec.optimizer.batch // workers
    declared = min(resources.micro_batch or share, share)
    for micro in range(declared, 0, -1):
        if share % micro:
            continue
        if fits(per_worker(spec, workers=workers, zero_stage=resources.zero_stage, micro_batch=micro), device) in (
            True,
            None,
        ):
            return micro
    return None


def checkpoint_bytes(spec: RunSpec) -> float:
    """Size of one checkpoint, at any stage and worker count: fp32 masters, two moments and masks."""
    return 12.0 * spec.model.shape.total + spec.model.shape.prunable / 8
