"""Prints a forecast: a table a human reads, or one JSON object. No torch, no Ray."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from repro import hardware
from repro.spec import RunSpec
from sweeps import scaling
from sweeps.devices import ASSUMED_MFU, Cluster
from sweeps.forecast import Forecast, forecast, hours, model_sizes
from sweeps.grid import Sweep, expand
from sweeps.memory import USABLE, Memory, fits, per_worker
from sweeps.plan import aligned, amount, by_study

MICRO_BATCHES = (1, 4, 16, 64)  # sequences, shown beside the declared one
STAGES = (0, 1, 2, 3)


def print_quote(
    file: str | Path, cluster: str, *, price: float | None = None, measured: str | None = None, as_json: bool = False
) -> int:
    """Prints what a sweep file takes on a cluster; returns the exit code.

    Args:
        cluster: as Cluster.parse takes it.
        price: of a GPU-hour, in the currency of your choice.
        measured: a measured-throughput file (devices.Measured).
    """
    devices = Cluster.parse(cluster)
    sweep = expand(file)
    made = forecast(sweep, devices, measured)
    if as_json:
        print(json.dumps(as_object(made, sweep, price, measured), indent=1))
    else:
        print("\n".join(as_text(made, sweep, price, measured)))
    return 0


def as_object(made: Forecast, sweep: Sweep, price: float | None, measured: str | None) -> dict[str, Any]:
    """The forecast as JSON-able literals; runs in the order in which they start, hours, bytes and FLOPs."""
    total = made.plan.total
    return {
        "sweep": sweep.name,
        "cluster": asdict(made.cluster) | {"per_node": made.cluster.node, "max_workers": max(made.cluster.sizes)},
        "assumptions": list(assumptions(made, sweep, measured)),
        "runs": {
            run.run_id: {
                name: value
                for name, value in (asdict(made.plan.runs[run.run_id]) | asdict(run)).items()
                if name not in ("runs", "run_id")
            }
            | {"memory": asdict(run.memory) | {"total": run.memory.total}}
            | ({} if price is None else {"cost": price * run.gpu_hours})
            for run in made.runs
        },
        "studies": {name: asdict(of_study) for name, of_study in made.plan.studies.items()},
        "total": asdict(total),
        "tokens": total.tokens,
        "effective_flops": total.effective_flops,
        "executed_flops": total.executed_flops,
        "gpu_hours": made.gpu_hours,
        "makespan_hours": made.makespan_hours,
        "lower_bound_hours": made.lower_bound_hours,
        "naive_makespan_hours": made.naive_makespan_hours,
        "naive_workers": made.naive_workers,
        "busy": made.busy,
        "checkpoint_bytes": made.checkpoint_bytes,
        "peak_checkpoint_bytes": made.peak_checkpoint_bytes,
        "memory": list(_memory(made, sweep)),
        "warnings": list(made.warnings),
    } | ({} if price is None else {"price": price, "cost": price * made.gpu_hours, "cost_held": _held(made, price)})


def as_text(made: Forecast, sweep: Sweep, price: float | None, measured: str | None) -> list[str]:
    """The forecast as lines."""
    cluster, total = made.cluster, made.plan.total
    money = [] if price is None else [hours(price * made.gpu_hours)]
    head = ("run", "tokens", "eff. FLOPs", "exec. FLOPs", "MFU", "workers", "micro", "GB", "GPU-h", "starts", "hours")
    rows: list[tuple[str, ...]] = [head + (("cost",) if money else ())]
    for run in made.runs:
        own = made.plan.runs[run.run_id]
        rows.append(
            (
                run.run_id,
                amount(own.tokens),
                f"{own.effective_flops:.3g}",
                f"{own.executed_flops:.3g}",
                "" if run.mfu is None else f"{run.mfu:.0%}",
                str(run.workers),
                str(run.micro_batch),
                f"{run.memory.total / 1e9:.1f}" + ("!" if run.fits is False else ""),
                hours(run.gpu_hours),
                hours(run.start_hours),
                hours(run.hours),
                *([] if price is None else [hours(price * run.gpu_hours)]),
            )
        )
    flops = (f"{total.effective_flops:.3g}", f"{total.executed_flops:.3g}")
    in_all = (hours(made.gpu_hours), "", hours(made.makespan_hours))
    rows.append(("all", amount(total.tokens), *flops, "", "", "", "", *in_all, *money))
    over = made.makespan_hours / made.lower_bound_hours - 1
    lines = [
        *by_study(made.plan),
        "",
        *aligned(rows, left={0}),
        "",
        *_memory_lines(made, sweep),
        "",
        *assumptions(made, sweep, measured),
        f"checkpoints: {_bytes(made.checkpoint_bytes)} stay, {_bytes(made.peak_checkpoint_bytes)} at most at a time",
        f"GPU-hours: {hours(made.gpu_hours)}, {made.busy:.1%} of {cluster.gpus} GPUs for {hours(made.makespan_hours)} h"
        + (
            ""
            if price is None
            else f"; {money[0]} at {price:g} a GPU-hour, {hours(_held(made, price))} for the cluster"
        ),
        f"makespan: {hours(made.makespan_hours)} h, {over:.1%} over the lower bound of {hours(made.lower_bound_hours)} h; "
        f"in the file's order, {made.naive_workers} workers each, {hours(made.naive_makespan_hours)} h",
    ]
    return lines + [f"warning: {text}" for text in made.warnings]


def assumptions(made: Forecast, sweep: Sweep, measured: str | None) -> Iterator[str]:
    """Where the hours and the gigabytes come from, a line each."""
    cluster = made.cluster
    precision = sweep.runs[0].spec.precision
    if measured is None and cluster.known:
        shares = ", ".join(f"{share:.0%} at {size / 1e6:.0f} M" for size, share in ASSUMED_MFU.items())
        peak = hardware.peak_flops(cluster.known, precision) or 0
        yield f"speed: assumed, not measured: MFU {shares} prunable weights, in between linear in log N; {peak / 1e12:.0f} TFLOP/s ({cluster.known}, {precision})"
    else:
        known = sum(spec.size in made.measured for spec in model_sizes(sweep).values())
        yield f"speed: {measured}: {known} of {len(model_sizes(sweep))} sizes measured, others from them, linear in log N"
    yield f"workers: up to {max(cluster.sizes)} a run where that keeps {scaling.GOOD:.0%} of their efficiency (model in sweeps/scaling.py); the run with the most work first"
    if cluster.memory_bytes is not None:
        yield f"memory: estimated (sweeps/memory.py), held against {USABLE:.0%} of {cluster.memory_bytes / 1e9:g} GB"


def _memory(made: Forecast, sweep: Sweep) -> Iterator[dict[str, Any]]:
    """By model size, ZeRO stage and micro-batch, on the declared workers: bytes of one of them."""
    resources = sweep.resources
    for size, spec in model_sizes(sweep).items():
        share, declared = resources.share(spec)
        for stage in STAGES:
            for micro in sorted({declared, *(m for m in MICRO_BATCHES if share % m == 0)}):
                found = per_worker(spec, workers=resources.workers, zero_stage=stage, micro_batch=micro)
                yield {
                    "size": size,
                    "workers": resources.workers,
                    "zero_stage": stage,
                    "micro_batch": micro,
                    "declared": stage == resources.zero_stage and micro == declared,
                    **asdict(found),
                    "total": found.total,
                    "fits": fits(found, made.cluster.memory_bytes),
                }


def _memory_lines(made: Forecast, sweep: Sweep) -> list[str]:
    """States by stage and activations by micro-batch: any sum of the two is a worker's memory."""
    resources = sweep.resources
    micros = (f"+ {micro} seq." for micro in MICRO_BATCHES)
    rows: list[tuple[str, ...]] = [("GB a worker", *(f"ZeRO {stage}" for stage in STAGES), *micros, "declared", "")]
    for size, spec in model_sizes(sweep).items():
        _, declared = resources.share(spec)

        at = partial(_worker, spec, resources.workers)
        full = at(resources.zero_stage, declared)
        verdict = {None: "", True: "fits", False: "doesn't fit"}[fits(full, made.cluster.memory_bytes)]
        rows.append(
            (
                size,
                *(_gigabytes(at(stage, 1).states) for stage in STAGES),
                *(_gigabytes(at(1, micro).activations) for micro in MICRO_BATCHES),
                _gigabytes(full.total),
                verdict,
            )
        )
    _, micro = resources.share(next(iter(model_sizes(sweep).values())))
    note = f"(states by ZeRO stage on {resources.workers} workers, plus activations by micro-batch; declared: stage {resources.zero_stage}, {micro} sequences)"
    return [*aligned(rows, left={0}), note]


def _worker(spec: RunSpec, workers: int, stage: int, micro: int) -> Memory:
    return per_worker(spec, workers=workers, zero_stage=stage, micro_batch=micro)


def _held(made: Forecast, price: float) -> float:
    """What the whole cluster costs until the last run ends."""
    return price * made.cluster.gpus * made.makespan_hours


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f}" if count >= 1e7 else f"{count / 1e9:.2g}"


def _bytes(count: float) -> str:
    return amount(count).replace(" B", " G") + "B"
