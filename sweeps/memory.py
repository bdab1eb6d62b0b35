"""Estimates of a worker's memory by ZeRO stage and micro-batch, and of a checkpoint's size. No torch.

States, in bytes per parameter (all parameters, W workers), held by DeepSpeed with the settings of repro/training/zero.py:

    stage   weights        gradients                        masters and moments
    0       2, fp32 4      bf16 2 and an fp32 copy 4; 4     12; 8 in fp32, whose weights are the masters
    1       2, fp32 4      2, fp32 4; an fp32 part 4/W      12/W
    2       2, fp32 4      summed in fp32 4/W               12/W
    3       2, fp32 4      summed in fp32 4/W               12/W; partitioned weights 2/W or 4/W beside the gathered

Stages 1 to 3 add the bucket in which gradients are reduced. At stage 3 all weights are gathered at once: its limit of
1e9 live parameters exceeds every size here. Masks take one bit per prunable weight; where weights come back in the order in
which they went, as many more as the number of the last event has binary digits.

Activations, in bytes per token of the micro-batch, counted for transformers' Llama without recomputation and with
attention that stores no scores. A block stores in bf16

    eager       24 d + 8 mlp   each norm in fp32: input, 4 d, scaled value, 2 d, output, 2 d; q, k, v and attention's output,
                               8 d; gate, silu(gate), up and their product, 8 mlp
    compiled    16 d + 6 mlp   each norm's input and output, 4 d; q, k, v and attention's output; gate, up and the product

and in fp32 40 d + 16 mlp, and 32 d + 12 mlp; the embedding and the last norm add about a third of a block's d. The loss works
on CHUNK logits at once, in bf16 and fp32 with 10 and 8 bytes each, 16 and 12 from the second chunk on, whose predecessor's are
still there, and 6 and 8 if compiled. The LM head's gradient is then there as well, 10 and 12 bytes for a weight; compiled, the
chunks' parts of it are summed at the end, 2 bytes for each chunk before the last. tests/sweeps/test_memory.py counts all this
on tensors without memory.

What these leave of the peak: after a compiled backward pass all new gradients exist beside those of the earlier micro-batches,
and masking gradients takes 4.5 bytes for each of a worker's masters, more than the gradients by which an event chooses what
comes back. The largest of these counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from repro.ladder import Shape
from repro.resources import Resources
from repro.spec import RunSpec

# As in repro/training/zero.py and loss.py, which import torch.
BUCKET = 500_000_000  # gradients
CHUNK = 1 << 26  # logits
USABLE = 0.9  # share of a device's memory: the CUDA context, NCCL's buffers and fragmentation take the rest


@dataclass(frozen=True)
class Memory:
    """Peak bytes of one worker. optimizer: fp32 masters, moments and masks. gradients: including their bucket.

    activations: of a forward and backward pass; or what the end of it or an update needs, if that is more.
    """

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


def worker_of(
    spec: RunSpec, resources: Resources, micro_batch: int, *, workers: int | None = None, zero_stage: int | None = None
) -> Memory:
    """The memory of one worker of a run.

    Args:
        resources: of the sweep. Only what certainly is compiled counts as such: eager kernels take more.
        micro_batch: sequences per forward pass.
        workers, zero_stage: others than those of the resources.
    """
    workers = resources.workers if workers is None else workers
    zero_stage = resources.zero_stage if zero_stage is None else zero_stage
    compiled = resources.compile is True
    half, shape, model = spec.precision == "bf16", spec.model.shape, spec.model
    total, narrow = shape.total, 2 if half else 4
    if zero_stage == 0:
        weights, gradients, optimizer = narrow, 6.0 if half else 4.0, 12.0 if half else 8.0
    else:
        weights, optimizer = narrow, 12 / workers
        gradients = (narrow if zero_stage == 1 else 0) + 4 / workers
    bucket = narrow * min(total, BUCKET) if zero_stage else 0
    partition = narrow * total / workers if zero_stage == 3 else 0
    passes = _passes(shape, micro_batch * model.sequence, half, compiled)
    return Memory(
        weights * total + partition,
        gradients * total + bucket,
        optimizer * total + _mask_bytes(spec),
        max(passes, narrow * total if compiled else 0, 4.5 * total / workers),
    )


def _passes(shape: Shape, tokens: int, half: bool, compiled: bool) -> float:
    """Bytes of a forward and backward pass of so many tokens."""
    width, inner, rest = {
        (True, False): (24, 8, 8),
        (True, True): (16, 6, 4),
        (False, False): (40, 16, 13),
        (False, True): (32, 12, 8),
    }[half, compiled]
    blocks = shape.layers * (width * shape.d_model + inner * shape.mlp)
    chunks = math.ceil(tokens * shape.vocab / CHUNK)
    if compiled:
        logit, head = 6 if half else 8, 2 * (chunks - 1)
    elif chunks == 1:
        logit, head = 10 if half else 8, 0
    else:
        logit, head = (16, 10) if half else (12, 12)
    loss = logit * min(tokens * shape.vocab, CHUNK) + head * shape.vocab * shape.d_model
    return float(tokens * (blocks + rest * shape.d_model) + loss)


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
        if fits(worker_of(spec, resources, micro, workers=workers), device) in (True, None):
            return micro
    return None


def checkpoint_bytes(spec: RunSpec) -> float:
    """Size of one checkpoint, at any stage and worker count: fp32 masters, two moments and masks."""
    return 12.0 * spec.model.shape.total + _mask_bytes(spec)


def _mask_bytes(spec: RunSpec) -> float:
    """Masks, and when each weight was removed where a run asks for it (repro/pruning/rankings.py)."""
    digits = spec.schedule.events.bit_length() if spec.pruning.choose == "last" else 0
    return spec.model.shape.prunable * (1 + digits) / 8
