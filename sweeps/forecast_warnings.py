"""What a forecast warns of: text that repeats, idle devices, memory that doesn't suffice, stragglers, assumed speeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from repro.columns import epochs
from repro.spec import RunSpec
from sweeps import placement
from sweeps.devices import Cluster
from sweeps.grid import Sweep
from sweeps.memory import USABLE, fitting_micro_batch
from sweeps.placement import PlacedRun, RunTimes
from sweeps.throughput import Throughput

HOUR = 3600.0
TAIL = 0.05  # warn if more than half of the cluster is idle for more than this share of the makespan at its end


def warnings(
    sweep: Sweep,
    cluster: Cluster,
    specs: Mapping[str, RunSpec],
    jobs: Sequence[RunTimes],
    placed: Sequence[PlacedRun],
    unfit: set[str],
    speed: Throughput,
    each: int,
) -> Iterator[str]:
    yield from _text_warnings(specs)
    if sweep.resources.device == "cpu" and cluster.known:
        yield f"resources.device is cpu: every {cluster.known} would be idle"
    elif not (sweep.resources.compile or speed.measured):
        yield "resources.compile is off, but the speed is assumed for compiled models: expect about half of it"
    most = max(sweep.resources.of(spec).workers for spec in specs.values())
    if sweep.resources.sizing == "declared" and most > cluster.gpus:
        yield f"resources asks for {most} workers per run, more than this cluster's {cluster.gpus} GPUs: `sweeps run` would refuse"
    yield from _memory_warnings(sweep, cluster, specs, unfit)
    idle, last = placement.tail(placed, cluster.gpus * each)
    total = placement.makespan(placed)
    if idle > TAIL * total:
        text = f"a straggler: less than half of the cluster is busy in the last {hours(idle / HOUR)} of {hours(total / HOUR)} h, waiting for {_some(last)}"
        if cluster.gpus % (2 * cluster.node) == 0:
            fewer = placement.pack(jobs, cluster.gpus // 2 * each, cluster.node * each)
            text += f"; {cluster.gpus // 2} GPUs would take {hours(placement.makespan(fewer) / HOUR)} h"
        yield text
    least = min(speed.points)
    below = sorted({spec.size for spec in specs.values() if spec.model.shape.prunable < least / 2})
    if below:
        yield f"no throughput is known for models as small as {_some(below)}: they are priced like one of {least:.3g} weights but are slower; measure one and pass the file (--measured)"


def _text_warnings(specs: Mapping[str, RunSpec]) -> Iterator[str]:
    """Warns of runs that repeat text, or may; grid.expand has refused those that aren't allowed to."""
    seen = {run_id: epochs(spec) for run_id, spec in specs.items()}
    again = {run_id: times for run_id, times in seen.items() if times is not None and times > 1}
    if again:
        named = ", ".join(f"{run_id} ({times:.2f} times)" for run_id, times in again.items())
        yield f"{len(again)} run{'s' if len(again) > 1 else ''} repeat{'' if len(again) > 1 else 's'} text: {named}"
    unsaid = sorted({specs[i].corpus.name for i, times in seen.items() if times is None and not specs[i].repeat})
    if unsaid:
        yield f"corpus.unique_tokens isn't declared for {', '.join(unsaid)}: whether it has enough text is known only once it is built"


def _memory_warnings(sweep: Sweep, cluster: Cluster, specs: Mapping[str, RunSpec], unfit: set[str]) -> Iterator[str]:
    resources, device = sweep.resources, cluster.memory_bytes
    if device is None:
        yield f"the memory of a {cluster.type} isn't known, so no run was checked against it; set memory=GB in --cluster"
        return
    room = f"{USABLE * device / 1e9:.3g} GB"
    if unfit:
        yield f"can't fit, even with one sequence at a time at ZeRO stage {resources.zero_stage} in {room}: {', '.join(sorted(unfit))}; use larger devices, a higher stage or more workers; priced as if one fitted"
    smaller: dict[tuple[int, int], list[str]] = {}
    for run_id, spec in specs.items():
        _, declared = resources.share(spec)
        found = fitting_micro_batch(spec, resources, resources.workers, device)
        if run_id not in unfit and found is not None and found < declared:
            smaller.setdefault((declared, found), []).append(run_id)
    for (declared, found), ids in smaller.items():
        yield f"micro-batches of {declared} sequences don't fit in {room} on {resources.workers} workers for {_some(ids)}: {found} would fit"


def hours(count: float) -> str:
    """Hours, or a cost, with one decimal, or three significant digits below 10."""
    return f"{count:,.1f}" if count >= 10 else f"{count:.3g}"


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
