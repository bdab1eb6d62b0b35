"""The duration of a run by worker count: the only model of scaling. No torch, no Ray.

With t_1 the seconds per step on one worker (executed FLOPs over the device's rate), a step on W workers takes

    t_W = t_1 / W + (W - 1) / W * (bytes / (LINK_SHARE * bandwidth) + UPDATE)

* bytes: sent by ZeRO per step, for P parameters (all of them) of 2 bytes in bf16 and 4 in fp32, and `a` micro-batches:
  2 P at stages 0 and 1 (gradients and weights once per step), (a + 1) P at stage 2 (gradients each micro-batch),
  3 a P at stage 3 (weights forward and backward, and gradients). A ring of W sends (W - 1) / W of it. No overlap of
  communication with computation is assumed, which is pessimistic.
* bandwidth: the slowest link of the ring, in bytes/s: NVLink or PCIe within a node (repro/training/hardware.py), the network
  between nodes (devices.NETWORK).
* UPDATE: the part of a step that more workers don't shorten: the norm, AdamW's and the masks' kernel launches, latencies.

A run also takes START seconds until its first step. A compiled group takes COMPILE more: its new processes trace the graphs
anew, and their kernels come from the machine's cache. Runs of one worker follow each other in a process that compiles each
shape once, which isn't counted. Surgery comes before the first step (surgery_price.py). A held-out token costs a third of a training token: no backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

from repro.resources import Resources
from repro.spec import RunSpec
from sweeps.devices import Cluster
from sweeps.memory import fitting_micro_batch
from sweeps.surgery_price import surgery_price
from sweeps.throughput import Throughput, flops_per_token

LINK_SHARE = 0.7  # share of a link's peak achieved by a ring of large messages, assumed
UPDATE = 5e-3  # seconds per step, assumed
START_ALONE, START_GROUP = 0.7, 22.5  # seconds: one worker in a reused process, a worker group (bench/RESULTS.md)
COMPILE = 30.0  # seconds, assumed
GOOD = 0.8  # efficiency below which more workers aren't worth it


@dataclass(frozen=True)
class Size:
    """A run on a number of workers.

    seconds: from start to end. efficiency: t_1 / (W * t_W). micro_batch: sequences per forward pass, which fit.
    """

    workers: int
    micro_batch: int
    seconds: float
    efficiency: float


def sizes(spec: RunSpec, cluster: Cluster, throughput: Throughput, resources: Resources) -> tuple[Size, ...]:
    """The allowed worker counts of a run, in ascending order: its batch divides, it fits, and it scales well enough.

    If it fits on none that scale well, the fewest on which it fits; empty if it fits on none. With declared sizing only
    the declared count is considered.
    """
    fitting = []
    for workers in cluster.sizes if resources.sizing == "plan" else (cluster.holding(resources.of(spec).workers),):
        if spec.optimizer.batch % workers == 0:
            micro = fitting_micro_batch(spec, resources, workers, cluster.memory_bytes)
            if micro is not None:
                fitting.append(size(spec, workers, micro, cluster, throughput, resources))
    return tuple(one for one in fitting if one.efficiency >= GOOD) or tuple(fitting[:1])


def shared(spec: RunSpec, runs: int, cluster: Cluster, throughput: Throughput, resources: Resources) -> Size | None:
    """A run of one worker that shares its GPU with others, each with its part of the memory; None if it doesn't fit."""
    room = None if cluster.memory_bytes is None else cluster.memory_bytes / runs
    micro = fitting_micro_batch(spec, resources, 1, room)
    return None if micro is None else size(spec, 1, micro, cluster, throughput, resources, runs=runs)


def size(
    spec: RunSpec,
    workers: int,
    micro_batch: int,
    cluster: Cluster,
    throughput: Throughput,
    resources: Resources,
    *,
    runs: int = 1,
) -> Size:
    """A run on `workers`, whether or not it fits and scales. runs: how many share its GPU."""
    steps = spec.schedule.total_steps
    alone = (spec.tokens + heldout_tokens(spec) / 3) * flops_per_token(spec.model) / throughput.rate(spec)
    alone *= runs / throughput.gain(spec, runs)
    passes = spec.optimizer.batch // workers // micro_batch
    volume = {0: 2, 1: 2, 2: passes + 1, 3: 3 * passes}[resources.zero_stage]
    sent = volume * spec.model.shape.total * (2 if spec.precision == "bf16" else 4)
    lost = (workers - 1) / workers * (sent / (LINK_SHARE * cluster.bandwidth(workers)) + UPDATE)
    training = alone / workers + steps * lost
    start = START_ALONE if workers == 1 else START_GROUP + (COMPILE if resources.compile else 0)
    start += surgery_price(spec).seconds
    return Size(workers, micro_batch, start + training, alone / (workers * training))


def heldout_tokens(spec: RunSpec) -> int:
    """Held-out tokens read by a run's evaluations, periodic and final."""
    evaluation = spec.evaluation
    before = 0 if spec.start is None else 1 if spec.surgery is None else 2  # of the weights that it starts from
    total = spec.schedule.total_steps
    times = before + evaluation.times(total) + (not evaluation.due(total - 1, total))
    return times * evaluation.blocks * evaluation.block_sequences * spec.model.sequence
