"""The number of workers of each run on the connected cluster, and the predicted times. No torch, no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from repro.resources import Resources
from repro.spec import RunSpec
from sweeps.devices import Cluster
from sweeps.forecast import HOUR, forecast
from sweeps.grid import Sweep
from sweeps.placement import cost
from sweeps.sweep_json import Planned


@dataclass(frozen=True)
class Sizes:
    """Workers and predicted times of a sweep's runs.

    resources: resources by run id, of the runs to be trained. planned: every run of the sweep with its predicted cost
    and time. promised: makespan_seconds and lower_bound_seconds of the runs to be trained; None on unknown devices.
    """

    resources: dict[str, Resources]
    planned: list[Planned]
    promised: dict[str, float] | None


def of(sweep: Sweep, todo: Sequence[RunSpec], cluster: Cluster | None) -> Sizes:
    """Assigns workers to each run: as declared, or as planned if `resources.sizing` is plan and the devices are known.

    Args:
        sweep: the expanded file.
        todo: the runs to be trained.
        cluster: the connected cluster; None if it has no GPUs known to the planner.
    """
    resources = {spec.run_id: sweep.resources.of(spec) for spec in todo}
    planned = {p.spec.run_id: Planned(p.spec.run_id, p.spec.tokens, cost(p.spec)) for p in sweep.runs}
    if cluster is None:
        return Sizes(resources, list(planned.values()), None)
    made = forecast(replace(sweep, runs=tuple(p for p in sweep.runs if p.spec.run_id in resources)), cluster)
    for run in made.runs:
        planned[run.run_id] = replace(planned[run.run_id], workers=run.workers, seconds=run.hours * HOUR)
        if sweep.resources.sizing == "plan":
            own = replace(resources[run.run_id], workers=run.workers, micro_batch=run.micro_batch)
            resources[run.run_id] = own
    promised = {
        "makespan_seconds": made.makespan_hours * HOUR,
        "lower_bound_seconds": made.lower_bound_hours * HOUR,
    }
    return Sizes(resources, list(planned.values()), promised)
