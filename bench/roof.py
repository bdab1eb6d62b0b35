"""How fast a GPU can train a sweep's models at most: bounds of the plan's speed, without a GPU.

    python -m bench.roof sweeps/paper.yaml                 seconds of a step by part, and the MFU, of each size
    python -m bench.roof sweeps/paper.yaml --json          the same as one JSON object by size label
    python -m bench.roof sweeps/paper.yaml --as-written    of an eager model whose documents are told apart by a mask

A step is counted on tensors without memory (bench/count.py): the sweep's own batch, micro-batch, ZeRO stage, packing and
compilation, on one worker. Each kernel takes the longer of its FLOPs at a share of the peak and its bytes at a share of
the bandwidth. The shares below are what a good kernel reaches; those of a whole step are lower, so the result is a bound.
It holds as far as no buffer stays in the GPU's cache between two kernels and the fused kernels are Inductor's.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial

from bench import parser
from bench.count import Counted, Kernel, Setting, micro_batch
from repro.console.guard import guarded
from repro.resources import Resources
from repro.spec import RunSpec
from repro.training import hardware
from sweeps.devices import Cluster
from sweeps.forecast import model_sizes
from sweeps.grid import expand
from sweeps.plan import aligned
from sweeps.throughput import Throughput, flops_per_token

# Shares of the data sheet's peak and bandwidth. An H100 comes to 643 TFLOP/s and 2.7 TB/s.
MATMUL, ATTENTION, MASKED, MEMORY = 0.65, 0.45, 0.32, 0.80
DOCUMENTS = 0.5  # attention of a row of documents over that of a whole row, if half of its pairs are of one document
LAUNCH = 4e-6  # seconds of the host for a kernel
WAIT = 1e-3  # seconds that the device idles when the host has waited for it, as written
# What the plan assumes (sweeps/devices.py): this share of the bound, and so many seconds a step in which the device waits
# for DeepSpeed's and the trainer's own work, which only steps of a few milliseconds feel.
LIKELY, OVERHEAD = 0.85, 6e-3
# Bytes that DeepSpeed moves for a parameter, by hand: in a round a gradient is added to others (stages 2 and 3, through a
# bucket), in an update it is copied, measured, clipped, and read by AdamW with a master and two moments.
ROUND = {"bf16": (6, 6, 14, 14), "fp32": (12, 12, 20, 20)}
UPDATE = {"bf16": 54, "fp32": 44}
# For a prunable weight: its bit becomes a number, which is multiplied with the gradient.
MASK = {"bf16": 8.6, "fp32": 16.6}


@dataclass(frozen=True)
class Step:
    """Seconds of one training step on one worker, by part. host: what the device doesn't hide."""

    matmul: float
    elementwise: float
    loss: float
    attention: float
    masks: float
    update: float
    host: float

    @property
    def seconds(self) -> float:
        return sum(asdict(self).values())


@dataclass(frozen=True)
class Roof:
    """The bound of one size.

    Attributes:
        mfu_bound: model FLOPs utilisation at most.
        mfu_likely: LIKELY of it, less OVERHEAD.
        mfu_assumed: what the plan assumes.
        attention_mask: whether attention is given a dense mask.
        head_dim: of an attention head.
        kernels: of a micro-batch.
        step: seconds.
    """

    mfu_bound: float
    mfu_likely: float
    mfu_assumed: float
    attention_mask: bool
    head_dim: int
    kernels: int
    step: Step


@guarded
def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("file", help="sweep YAML")
    options.add_argument("--device", default="h100", help="a GPU of the plan's tables (default: %(default)s)")
    plain = "transformers' own model and loss, eager, masked in each micro-batch, with a host that waits for the device"
    options.add_argument("--as-written", action="store_true", help=plain)
    options.add_argument("--json", action="store_true", help="print JSON")
    given = options.parse_args(argv)
    sweep, cluster = expand(given.file), Cluster(1, given.device)
    sizes = dict(reversed(model_sizes(sweep).items()))
    bound = partial(roof, resources=sweep.resources, cluster=cluster, as_written=given.as_written)
    if sweep.resources.compile and not given.as_written:  # seconds for each size
        with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as processes:
            found = dict(zip(sizes, processes.map(bound, sizes.values()), strict=True))
    else:
        found = {size: bound(spec) for size, spec in sizes.items()}
    if given.json:
        print(json.dumps({size: asdict(one) for size, one in found.items()}, indent=1))
    else:
        print("\n".join(_lines(found)))
    return 0


def roof(spec: RunSpec, resources: Resources, cluster: Cluster, *, as_written: bool = False) -> Roof:
    """The bound of a run's speed on one device.

    Raises:
        UserError: the device isn't in repro.training.hardware's tables, or doesn't support the run's precision.
    """
    assumed = Throughput.assumed(cluster, spec.precision).rate(spec)
    device = cluster.known or cluster.type
    peak = hardware.peak_flops(device, spec.precision) or 0.0
    compiled = resources.compile is not False and not as_written
    setting = Setting(spec.precision, spec.corpus.packing == "documents", compiled, plain=as_written)
    rows = min(resources.micro_batch or spec.optimizer.batch, spec.optimizer.batch)
    counted = micro_batch(spec.model, rows, setting)
    step = step_of(counted, spec, resources, spec.optimizer.batch // rows, setting, device)
    ideal = flops_per_token(spec.model) * spec.tokens_per_step / peak
    return Roof(
        mfu_bound=ideal / step.seconds,
        mfu_likely=ideal / (step.seconds / LIKELY + OVERHEAD),
        mfu_assumed=assumed / peak,
        attention_mask=counted.has_mask,
        head_dim=spec.model.shape.per_head,
        kernels=sum(counted.kernels.values()),
        step=step,
    )


def step_of(counted: Counted, spec: RunSpec, resources: Resources, rounds: int, setting: Setting, device: str) -> Step:
    """Seconds of a step of `rounds` micro-batches."""
    peak = hardware.peak_flops(device, spec.precision) or 0.0
    bandwidth = MEMORY * hardware.GPUS[device].bandwidth
    parts = dict.fromkeys(("matmul", "elementwise", "loss", "attention"), 0.0)
    for kernel, times in counted.kernels.items():
        part = "attention" if kernel.kind == "masked attention" else kernel.kind
        parts[part] += rounds * times * max(_seconds(kernel, peak, setting.documents), kernel.bytes / bandwidth)
    shape, by = spec.model.shape, spec.precision
    masked = rounds * MASK[by] if setting.plain else MASK["fp32"]  # ours multiplies the sum of all rounds
    masks = masked * shape.prunable / bandwidth
    update = (UPDATE[by] + rounds * ROUND[by][resources.zero_stage]) * shape.total / bandwidth
    launched = LAUNCH * rounds * sum(counted.kernels.values())
    # DeepSpeed's timer waits twice in a round, its norm and its check of overflows three times in an update.
    waits = rounds * (counted.waits + 2) + 3 if setting.plain else 0
    host = max(0.0, launched - sum(parts.values()) - masks - update) + WAIT * waits
    return Step(**parts, masks=masks, update=update, host=host)


def _seconds(kernel: Kernel, peak: float, documents: bool) -> float:
    """Seconds that a kernel's FLOPs take. Without a mask, attention leaves out the pairs that it needn't see."""
    if kernel.kind == "matmul":
        return kernel.flops / (MATMUL * peak)
    if kernel.kind == "attention":
        return kernel.flops / 2 * (DOCUMENTS if documents else 1) / (ATTENTION * peak)
    return kernel.flops / (MASKED * peak)


def _lines(found: dict[str, Roof]) -> list[str]:
    head = ("seconds a step", *(name for name in asdict(next(iter(found.values())).step)), "sum")
    rows: list[tuple[str, ...]] = [(*head, "bound", "likely", "assumed", "head_dim", "mask", "kernels")]
    for size, one in found.items():
        seconds = (f"{value:.3f}" for value in (*asdict(one.step).values(), one.step.seconds))
        shares = (f"{share:.1%}" for share in (one.mfu_bound, one.mfu_likely, one.mfu_assumed))
        mask = "dense" if one.attention_mask else "none"
        rows.append((size, *seconds, *shares, str(one.head_dim), mask, str(one.kernels)))
    return aligned(rows, left={0})


if __name__ == "__main__":
    sys.exit(main())
