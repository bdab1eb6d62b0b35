"""Forecast of a sweep on a cluster: GPU-hours, memory, workers, order, makespan, storage, warnings. No torch, no Ray."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repro.spec import RunSpec
from repro.training import hardware
from sweeps import placement, scaling
from sweeps.devices import Cluster
from sweeps.forecast_warnings import HOUR, warnings
from sweeps.grid import Sweep
from sweeps.memory import Memory, checkpoint_bytes, fits, fitting_micro_batch, worker_of
from sweeps.placement import PlacedRun, RunTimes
from sweeps.scaling import Size
from sweeps.throughput import Measured, Source, Throughput


@dataclass(frozen=True)
class RunForecast:
    """What one run needs on the cluster.

    runs_per_gpu: how many runs share its GPU. tokens_per_second: sum over its workers. mfu: its own part, null without a known peak. efficiency: relative to one worker.
    memory: bytes per worker at this ZeRO stage and micro-batch. fits: null if the device's memory is unknown.
    start_hours: since the sweep's start. checkpoint_bytes: size of the checkpoint that is kept.
    """

    run_id: str
    workers: int
    micro_batch: int
    runs_per_gpu: int
    efficiency: float
    source: Source
    tokens_per_second: float
    mfu: float | None
    gpu_hours: float
    hours: float
    start_hours: float
    memory: Memory
    fits: bool | None
    checkpoint_bytes: float


@dataclass(frozen=True)
class Forecast:
    """What a sweep needs on a cluster; `runs` are in start order.

    lower_bound_hours: lower bound of the makespan (placement.lower_bound). naive_makespan_hours: makespan in the file's
    order with `naive_workers` per run. checkpoint_bytes: sum of the runs' last checkpoints; peak_checkpoint_bytes:
    maximum at any time. measured: size labels with measured throughput.
    """

    cluster: Cluster
    runs: tuple[RunForecast, ...]
    gpu_hours: float
    makespan_hours: float
    lower_bound_hours: float
    naive_makespan_hours: float
    naive_workers: int
    checkpoint_bytes: float
    peak_checkpoint_bytes: float
    measured: frozenset[str]
    warnings: tuple[str, ...]

    @property
    def busy(self) -> float:
        """Share of the cluster's GPU-hours used by runs."""
        return self.gpu_hours / (self.makespan_hours * self.cluster.gpus)


def forecast(
    sweep: Sweep, cluster: Cluster, measured: str | Path | None = None, *, todo: Collection[str] | None = None
) -> Forecast:
    """Assigns workers to the runs of a sweep and schedules them.

    Where the plan sizes runs, all of them share GPUs, with one worker each, if that was measured to gain throughput at
    every measured size, each fits its part of the memory, and the sweep ends earlier. No gain is assumed.

    Args:
        measured: a measured-throughput file; without it the MFU is assumed (throughput.ASSUMED_MFU). Its sizes are compared
            with those of the whole sweep.
        todo: ids of the runs to schedule; None: all.

    Raises:
        UserError: the device is unknown, doesn't support the sweep's precision, or isn't in the measured file.
    """
    specs = placement.longest_first(sweep.specs)
    if measured is None:
        speed = Throughput.assumed(cluster, specs[0].precision)
    else:
        speed = Throughput.of(Measured.read(measured), cluster, specs, measured)
    if todo is not None:
        sweep = replace(sweep, runs=tuple(run for run in sweep.runs if run.spec.run_id in todo))
        specs = [spec for spec in specs if spec.run_id in todo]
    options = {spec.run_id: scaling.sizes(spec, cluster, speed, sweep.resources) for spec in specs}
    unfit = {i for i, found in options.items() if not found}
    for spec in specs:
        if spec.run_id in unfit:  # priced as if one sequence fitted, so that the totals include every run
            declared = sweep.resources.sizing == "declared"
            most = max(w for w in cluster.sizes if spec.optimizer.batch % w == 0)
            most = cluster.holding(sweep.resources.of(spec).workers) if declared else most
            options[spec.run_id] = (scaling.size(spec, most, 1, cluster, speed, sweep.resources),)
    jobs = [_job(spec, options[spec.run_id]) for spec in specs]
    placed, each = placement.pack(jobs, cluster.gpus, cluster.node), 1
    useful = [runs for runs, gains in sorted(speed.gains.items()) if min(gains.values()) > 1]
    for runs_per_gpu in useful if sweep.resources.sizing == "plan" else ():
        found = {spec.run_id: scaling.shared(spec, runs_per_gpu, cluster, speed, sweep.resources) for spec in specs}
        fitting = {run_id: (one,) for run_id, one in found.items() if one}
        if len(fitting) == len(specs):
            beside = [_job(spec, fitting[spec.run_id]) for spec in specs]
            packed = placement.pack(beside, cluster.gpus * runs_per_gpu, cluster.node * runs_per_gpu)
            if placement.makespan(packed) < placement.makespan(placed):
                options, jobs, placed, each = {**fitting}, beside, packed, runs_per_gpu
    fixed, naive = _naive(sweep, cluster, speed)
    by_id = {spec.run_id: spec for spec in specs}
    runs = tuple(_run(by_id[p.run_id], p, options[p.run_id], speed, sweep, cluster, each) for p in placed)
    starts = {(s.parent.run_id, s.parent_step): s.parent for s in specs if s.parent and not s.starts_at_the_end}
    kept = [r.checkpoint_bytes for r in runs] + [checkpoint_bytes(parent) for parent in starts.values()]
    return Forecast(
        cluster=cluster,
        runs=runs,
        gpu_hours=placement.gpu_seconds(placed) / each / HOUR,
        makespan_hours=placement.makespan(placed) / HOUR,
        lower_bound_hours=placement.lower_bound(jobs, cluster.gpus * each) / HOUR,
        naive_makespan_hours=placement.makespan(naive) / HOUR,
        naive_workers=fixed,
        checkpoint_bytes=sum(kept),
        peak_checkpoint_bytes=_peak_checkpoints(runs, sweep.resources.keep_checkpoints, starts),
        measured=speed.measured,
        warnings=tuple(warnings(sweep, cluster, by_id, jobs, placed, unfit, speed, each)),
    )


def model_sizes(sweep: Sweep) -> dict[str, RunSpec]:
    """One run per size label, largest model first: apart from the batch, memory depends on the size alone."""
    found: dict[str, RunSpec] = {}
    for spec in sweep.specs:
        found.setdefault(spec.size, spec)
    return dict(sorted(found.items(), key=lambda item: item[1].model.shape.total, reverse=True))


def _job(spec: RunSpec, options: Sequence[Size]) -> RunTimes:
    after = None
    if spec.parent is not None and spec.parent_step is not None:
        after = spec.parent.run_id, spec.parent_step / spec.parent.schedule.total_steps
    return RunTimes(spec.run_id, {one.workers: one.seconds for one in options}, after)


def _naive(sweep: Sweep, cluster: Cluster, speed: Throughput) -> tuple[int, tuple[PlacedRun, ...]]:
    """The schedule in the file's order, with the declared workers, or as many as this cluster and the batches allow."""
    allowed = [w for w in cluster.sizes if w <= sweep.resources.workers]
    fixed = max(w for w in allowed if all(spec.optimizer.batch % w == 0 for spec in sweep.specs))
    jobs = []
    for spec in sweep.specs:
        micro = fitting_micro_batch(spec, sweep.resources, fixed, cluster.memory_bytes) or 1
        jobs.append(_job(spec, [scaling.size(spec, fixed, micro, cluster, speed, sweep.resources)]))
    return fixed, placement.simulate(jobs, lambda *_: fixed, cluster.gpus, cluster.node)


def _run(
    spec: RunSpec,
    placed: PlacedRun,
    options: Sequence[Size],
    speed: Throughput,
    sweep: Sweep,
    cluster: Cluster,
    runs_per_gpu: int,
) -> RunForecast:
    size = next(one for one in options if one.workers == placed.workers)
    memory = worker_of(spec, sweep.resources, size.micro_batch, workers=size.workers)
    peak = hardware.peak_flops(cluster.known, spec.precision) if cluster.known else None
    return RunForecast(
        run_id=spec.run_id,
        workers=size.workers,
        micro_batch=size.micro_batch,
        runs_per_gpu=runs_per_gpu,
        efficiency=size.efficiency,
        source=speed.source(spec),
        tokens_per_second=spec.tokens / size.seconds,
        mfu=speed.rate(spec) * speed.gain(spec, runs_per_gpu) / runs_per_gpu * size.efficiency / peak if peak else None,
        gpu_hours=size.workers * size.seconds / runs_per_gpu / HOUR,
        hours=size.seconds / HOUR,
        start_hours=placed.start / HOUR,
        memory=memory,
        fits=fits(memory, None if cluster.memory_bytes is None else cluster.memory_bytes / runs_per_gpu),
        checkpoint_bytes=checkpoint_bytes(spec),
    )


def _peak_checkpoints(
    runs: Sequence[RunForecast], keep: int, starts: Mapping[tuple[str, int | None], RunSpec]
) -> float:
    """Peak bytes: one checkpoint per finished run, `keep` plus one being written per running one.

    starts: by id and step, the runs that keep another checkpoint for a run that starts from it.
    """
    peak, by_id = 0.0, {r.run_id: r for r in runs}
    extra = [(by_id[run_id], step or 0, spec) for (run_id, step), spec in starts.items()]
    for end in {r.start_hours + r.hours for r in runs}:
        moment = end * (1 - 1e-9)  # a run that starts as another ends doesn't run beside it, however both are rounded
        held = 0.0
        for r in runs:
            if r.start_hours < moment:
                held += r.checkpoint_bytes * (1 if r.start_hours + r.hours < moment else keep + 1)
        for r, step, spec in extra:
            if r.start_hours + r.hours * step / spec.schedule.total_steps < moment:
                held += r.checkpoint_bytes
        peak = max(peak, held)
    return peak
