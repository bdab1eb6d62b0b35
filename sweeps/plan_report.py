"""Prints a sweep's plan and forecast on a cluster, as tables or as one JSON object. No torch, no Ray."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from repro.training import hardware
from sweeps import corpora, scaling
from sweeps.devices import Cluster
from sweeps.forecast import Forecast, forecast, model_sizes
from sweeps.forecast_warnings import hours
from sweeps.grid import Sweep, expand
from sweeps.memory import USABLE, fits, worker_of
from sweeps.plan import Plan, aligned, amount, by_study, plan, unread
from sweeps.throughput import ASSUMED_MFU

MICRO_BATCHES = (1, 4, 16, 64)  # sequences, shown beside the declared one
STAGES = (0, 1, 2, 3)


@dataclass(frozen=True)
class Quote:
    """A sweep's cost on a cluster. price: price per GPU-hour; measured: a measured-throughput file, if any."""

    sweep: Sweep
    plan: Plan
    forecast: Forecast
    price: float | None = None
    measured: str | None = None

    @classmethod
    def of(cls, file: str | Path, cluster: str, price: float | None = None, measured: str | None = None) -> Quote:
        """The quote for a sweep file; `cluster` in the format of Cluster.parse."""
        devices = Cluster.parse(cluster)
        sweep = expand(file, read_models=False)
        return cls(sweep, plan(sweep), forecast(sweep, devices, measured), price, measured)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the forecast, and of the corpora that this machine has."""
        return (*unread(self.sweep), *self.forecast.warnings, *corpora.warnings(self.sweep, corpora.built(self.sweep)))

    def cost(self, gpu_hours: float) -> float:
        return (self.price or 0.0) * gpu_hours

    @property
    def held(self) -> float:
        """Cost of the whole cluster until the last run ends."""
        return self.cost(self.forecast.cluster.gpus * self.forecast.makespan_hours)


def as_object(quote: Quote) -> dict[str, Any]:
    """The quote as JSON values, in hours, bytes and FLOPs; runs in start order."""
    made, total, priced = quote.forecast, quote.plan.total, quote.price is not None
    found = {
        "sweep": quote.sweep.name,
        "cluster": asdict(made.cluster) | {"per_node": made.cluster.node, "max_workers": max(made.cluster.sizes)},
        "assumptions": list(assumptions(quote)),
        "runs": {
            run.run_id: asdict(quote.plan.runs[run.run_id])
            | asdict(run)
            | {"memory": asdict(run.memory) | {"total": run.memory.total}}
            | ({"cost": quote.cost(run.gpu_hours)} if priced else {})
            for run in made.runs
        },
        "studies": {name: asdict(of_study) for name, of_study in quote.plan.studies.items()},
        "total": asdict(total),
        "surgery": asdict(quote.plan.surgery),
        "sharing": asdict(quote.plan.sharing) if quote.plan.sharing else None,
        "tokens": total.tokens,
        "effective_flops": total.effective_flops,
        "executed_flops": total.executed_flops,
        "busy": made.busy,
        "memory": list(_memory(quote)),
        "warnings": list(quote.warnings),
    }
    others = ("cluster", "runs", "measured", "warnings")
    found |= {name: value for name, value in asdict(made).items() if name not in others}
    return found | (
        {"price": quote.price, "cost": quote.cost(made.gpu_hours), "cost_held": quote.held} if priced else {}
    )


def as_text(quote: Quote) -> list[str]:
    """Lines: studies, runs, memory, assumptions, totals, warnings."""
    made = quote.forecast
    over = made.makespan_hours / made.lower_bound_hours - 1
    money = ""
    if quote.price is not None:
        money = f"; {hours(quote.cost(made.gpu_hours))} at {quote.price:g} per GPU-hour, {hours(quote.held)} for the cluster"
    return [
        *by_study(quote.plan),
        "",
        *_run_lines(quote),
        "",
        *_memory_lines(quote),
        "",
        *assumptions(quote),
        f"checkpoints: {_bytes(made.checkpoint_bytes)} kept, {_bytes(made.peak_checkpoint_bytes)} at peak",
        f"GPU-hours: {hours(made.gpu_hours)}, {made.busy:.1%} of {made.cluster.gpus} GPUs for {hours(made.makespan_hours)} h{money}",
        f"makespan: {hours(made.makespan_hours)} h, {over:.1%} over the lower bound of {hours(made.lower_bound_hours)} h; "
        f"in the file's order, {made.naive_workers} workers each, {hours(made.naive_makespan_hours)} h",
        *(f"warning: {text}" for text in quote.warnings),
    ]


def assumptions(quote: Quote) -> Iterator[str]:
    """The assumptions behind the hours and the gigabytes, one per line."""
    cluster, sizes = quote.forecast.cluster, model_sizes(quote.sweep)
    precision = quote.sweep.specs[0].precision
    if quote.measured is None and cluster.known:
        shares = ", ".join(f"{share:.0%} at {size / 1e6:.0f} M" for size, share in ASSUMED_MFU.items())
        peak = hardware.peak_flops(cluster.known, precision) or 0
        yield f"speed: assumed, not measured: MFU {shares} prunable weights, interpolated linearly in log N; {peak / 1e12:.0f} TFLOP/s ({cluster.known}, {precision})"
    else:
        known = sum(size in quote.forecast.measured for size in sizes)
        yield f"speed: {quote.measured}: {known} of {len(sizes)} sizes measured, the others interpolated linearly in log N"
    yield f"workers: up to {max(cluster.sizes)} per run while efficiency stays above {scaling.GOOD:.0%} (model in sweeps/scaling.py); longest run first"
    beside = quote.forecast.runs[0].runs_per_gpu
    if beside > 1:
        yield f"runs: {beside} share each GPU, which was measured to gain throughput"
    if quote.sweep.share_prefix:
        yield "shared prefixes: not in the hours, where each run trains all its steps"
    if cluster.memory_bytes is not None:
        yield f"memory: estimated (sweeps/memory.py), checked against {USABLE:.0%} of {cluster.memory_bytes / 1e9:g} GB"


def _run_lines(quote: Quote) -> list[str]:
    made, total, priced = quote.forecast, quote.plan.total, quote.price is not None
    head = ("run", "tokens", "eff. FLOPs", "exec. FLOPs", "MFU", "workers", "micro", "GB", "GPU-h", "starts", "hours")
    rows: list[tuple[str, ...]] = [(*head, "cost") if priced else head]
    for run in made.runs:
        own = quote.plan.runs[run.run_id]
        speed = (f"{own.effective_flops:.3g}", f"{own.executed_flops:.3g}", "" if run.mfu is None else f"{run.mfu:.0%}")
        memory = _gigabytes(run.memory.total) + ("!" if run.fits is False else "")
        of_a_worker = (str(run.workers), str(run.micro_batch), memory)
        times = (hours(run.gpu_hours), hours(run.start_hours), hours(run.hours))
        money = [hours(quote.cost(run.gpu_hours))] if priced else []
        rows.append((run.run_id, amount(own.tokens), *speed, *of_a_worker, *times, *money))
    flops = (f"{total.effective_flops:.3g}", f"{total.executed_flops:.3g}")
    in_all = (hours(made.gpu_hours), "", hours(made.makespan_hours))
    money = [hours(quote.cost(made.gpu_hours))] if priced else []
    rows.append(("all", amount(total.tokens), *flops, "", "", "", "", *in_all, *money))
    return aligned(rows, left={0})


def _memory(quote: Quote) -> Iterator[dict[str, Any]]:
    """Bytes per worker by model size, ZeRO stage and micro-batch, with the declared workers."""
    resources = quote.sweep.resources
    for size, spec in model_sizes(quote.sweep).items():
        share, declared = resources.share(spec)
        for stage in STAGES:
            for micro in sorted({declared, *(m for m in MICRO_BATCHES if share % m == 0)}):
                found = worker_of(spec, resources, micro, zero_stage=stage)
                yield {
                    "size": size,
                    "workers": resources.workers,
                    "zero_stage": stage,
                    "micro_batch": micro,
                    "declared": stage == resources.zero_stage and micro == declared,
                    **asdict(found),
                    "total": found.total,
                    "fits": fits(found, quote.forecast.cluster.memory_bytes),
                }


def _memory_lines(quote: Quote) -> list[str]:
    """States by stage and activations by micro-batch; a worker's memory is the sum of the two."""
    resources, sizes = quote.sweep.resources, model_sizes(quote.sweep)
    micros = (f"+ {micro} seq." for micro in MICRO_BATCHES)
    rows: list[tuple[str, ...]] = [("GB per worker", *(f"ZeRO {stage}" for stage in STAGES), *micros, "declared", "")]
    for size, spec in sizes.items():
        _, declared = resources.share(spec)
        full = worker_of(spec, resources, declared)
        verdict = {None: "", True: "fits", False: "doesn't fit"}[fits(full, quote.forecast.cluster.memory_bytes)]
        states = (worker_of(spec, resources, 1, zero_stage=stage).states for stage in STAGES)
        activations = (worker_of(spec, resources, micro, zero_stage=1).activations for micro in MICRO_BATCHES)
        rows.append((size, *map(_gigabytes, (*states, *activations, full.total)), verdict))
    _, micro = resources.share(next(iter(sizes.values())))
    workers = f"{resources.workers} worker{'s' if resources.workers > 1 else ''}"
    note = f"(states by ZeRO stage on {workers}, plus activations by micro-batch; declared: stage {resources.zero_stage}, {micro} sequences)"
    return [*aligned(rows, left={0}), note]


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f}" if count >= 1e9 else f"{count / 1e9:.2g}"


def _bytes(count: float) -> str:
    return amount(count).replace(" B", " G") + "B"
