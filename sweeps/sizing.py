"""How many workers each run gets on the cluster that is there, and what the plan promises of it. No torch, no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from repro.resources import Resources
from repro.spec import RunSpec
from sweeps.devices import Cluster
from sweeps.forecast import HOUR, forecast
from sweeps.grid import Sweep
from sweeps.status import Planned


def of(
    sweep: Sweep, todo: Sequence[RunSpec], cluster: Cluster | None, planned: dict[str, Planned]
) -> dict[str, Resources]:
    """The resources of each run, by run id: as declared, or as planned where the sweep says so and the devices are known.

    Args:
        sweep: the expanded file.
        todo: the runs to be trained.
        cluster: that is there; None where it has no GPUs that the plan knows.
        planned: every run of the sweep, by run id; those of `todo` are given what the plan promises.
    """
    sizes = {spec.run_id: sweep.resources.of(spec) for spec in todo}
    if cluster is None:
        return sizes
    ids = {spec.run_id for spec in todo}
    made = forecast(replace(sweep, runs=tuple(run for run in sweep.runs if run.spec.run_id in ids)), cluster)
    for run in made.runs:
        planned[run.run_id] = replace(planned[run.run_id], workers=run.workers, seconds=run.hours * HOUR)
        if sweep.resources.sizing == "plan":
            own = replace(sizes[run.run_id], workers=run.workers, micro_batch=run.micro_batch)
            sizes[run.run_id] = own
    return sizes
