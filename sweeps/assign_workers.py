"""The number of workers of each run on the connected cluster, and the predicted times. No torch, no Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from repro.errors import UserError
from repro.resources import Resources
from repro.spec import ModelSpec, RunSpec
from sweeps.devices import Cluster
from sweeps.forecast import forecast
from sweeps.forecast_warnings import HOUR
from sweeps.grid import Sweep
from sweeps.placement import cost
from sweeps.sweep_json import Planned

Shape = tuple[ModelSpec, int]
# Steps of all runs of a shape in a sweep from which compiling it pays: it takes some 30 s, and a small model's step becomes
# some 3 ms shorter (bench/RESULTS.md).
COMPILED_STEPS = 10_000


@dataclass(frozen=True)
class Sizes:
    """Workers and predicted times of a sweep's runs.

    resources: resources by run id, of the runs to be trained. planned: every run of the sweep with its predicted cost
    and time. promised: makespan_seconds and lower_bound_seconds of the runs to be trained; None on unknown devices.
    """

    resources: dict[str, Resources]
    planned: list[Planned]
    promised: dict[str, float] | None


def of(sweep: Sweep, todo: Sequence[RunSpec], cluster: Cluster | None, measured: str | None = None) -> Sizes:
    """Assigns workers to each run: as declared, or as planned if `resources.sizing` is plan and the devices are known.

    Args:
        cluster: the connected cluster; None if its GPUs aren't of one type.
        measured: a measured-throughput file; without it the MFU of known GPUs is assumed.

    Raises:
        UserError: `measured` has no value for this cluster's devices, or for no size of the sweep.
    """
    if measured is not None and cluster is None:
        what = "GPUs of several types, to which no measurement applies"
        expected = "a cluster with GPUs of one type, or no --measured"
        raise UserError(what, key="--measured", found=measured, expected=expected)
    steps: Counter[Shape] = Counter()  # of the whole sweep, so that a run that resumes is compiled as it was before
    for spec in sweep.specs:
        steps[_shape(spec)] += spec.schedule.total_steps
    resources = {spec.run_id: sweep.resources.of(spec) for spec in todo}
    for spec in todo:  # "auto" stays only where compiling pays
        if resources[spec.run_id].compile == "auto" and steps[_shape(spec)] < COMPILED_STEPS:
            resources[spec.run_id] = replace(resources[spec.run_id], compile=False)
    planned = {spec.run_id: Planned(spec.run_id, spec.tokens, cost(spec)) for spec in sweep.specs}
    if cluster is None or (measured is None and cluster.known is None):
        return Sizes(resources, list(planned.values()), None)
    made = forecast(sweep, cluster, measured, todo=resources)
    for run in made.runs:
        planned[run.run_id] = replace(planned[run.run_id], workers=run.workers, seconds=run.hours * HOUR)
        if sweep.resources.sizing == "plan":
            own = replace(
                resources[run.run_id], workers=run.workers, micro_batch=run.micro_batch, runs_per_gpu=run.runs_per_gpu
            )
            resources[run.run_id] = own
    promised = {"makespan_seconds": made.makespan_hours * HOUR, "lower_bound_seconds": made.lower_bound_hours * HOUR}
    return Sizes(resources, list(planned.values()), promised)


def _shape(spec: RunSpec) -> Shape:
    """What a compiled graph is made for."""
    return spec.model, spec.optimizer.batch
