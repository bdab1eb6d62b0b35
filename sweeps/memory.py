"""Memory of one worker by ZeRO stage and micro-batch, and bytes of a checkpoint: estimates, no torch.

States, in bytes a parameter (all parameters, W workers), as DeepSpeed holds them with the settings of repro/training/zero.py:

    stage   weights        gradients                        masters and moments
    0       2, fp32 4      bf16 2 and an fp32 copy 4; 4     12; 8 in fp32, whose weights are the masters
    1       2, fp32 4      2, fp32 4; an fp32 part 4/W      12/W
    2       2, fp32 4      summed in fp32 4/W               12/W
    3       2, fp32 4      summed in fp32 4/W               12/W; weights 2/W or 4/W beside what is gathered

Stages 1 to 3 add the bucket in which gradients are reduced. At stage 3 all weights are gathered at once: its limit of
1e9 live parameters is above every size here. Masks take one bit a prunable weight.

Activations, in bytes a token of the micro-batch, counted over transformers' Llama without recomputation, attention
fused (no score is kept): a block keeps 26 d + 8 mlp in bf16 (its two norms compute in fp32: their input, 4 d, the
scaled value, 2 d, and the output, 2 d; attention's q, k, v and output and its contiguous copy, 10 d; gate, silu(gate),
up and their product, 8 mlp) and 44 d + 16 mlp in fp32. The loss keeps 10 bytes a vocabulary entry in bf16 (logits 2,
their fp32 copy 4, log-softmax 4) and 12 in fp32 (logits, log-softmax, its gradient).
"""

from __future__ import annotations

from dataclasses import dataclass

from repro.resources import Resources
from repro.spec import RunSpec

BUCKET = 500_000_000  # elements, as repro/training/zero.py has it (which imports torch)
USABLE = 0.9  # of a device: the CUDA context, NCCL's buffers and fragmentation take the rest


@dataclass(frozen=True)
class Memory:
    """Bytes of one worker at its fullest. optimizer: fp32 masters, moments and masks. gradients: with their bucket."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def states(self) -> float:
        """What doesn't depend on the micro-batch."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> float:
        return self.states + self.activations


def per_worker(spec: RunSpec, *, workers: int, zero_stage: int, micro_batch: int) -> Memory:
    """What a worker of a run holds.

    Args:
        spec: the run.
        workers: W, data-parallel processes.
        zero_stage: 0 to 3.
        micro_batch: sequences at once.
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
    """Whether a device of so many bytes holds it; None where its memory isn't known."""
    return None if device is None else memory.total <= USABLE * device


def fitting_micro_batch(spec: RunSpec, resources: Resources, workers: int, device: float | None) -> int | None:
    """The largest micro-batch, at most the declared one, with which a worker's share fits; None when none does."""
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
    """Of one checkpoint at any stage and worker count: fp32 masters and two moments, and masks."""
    return 12.0 * spec.model.shape.total + spec.model.shape.prunable / 8
