"""Some runs of a sweep by their ids, with the runs that they need: `sweeps run --only`."""

from __future__ import annotations

from collections.abc import Iterable

from repro.errors import UserError
from sweeps import prefix_plan
from sweeps.grid import Sweep
from sweeps.ids import near


def with_parents(sweep: Sweep, only: Iterable[str]) -> set[str]:
    """The ids of `only` and of every run whose weights or whose state they start from; of all runs where `only` is empty.

    Raises:
        UserError: an id that is none of the sweep's.
    """
    specs = {run.spec.run_id: run.spec for run in sweep.runs}
    forks = prefix_plan.grow(specs.values()).forks if sweep.share_prefix else {}
    waiting, found = list(only), set[str]()
    for run_id in waiting:
        if run_id not in specs:
            raise UserError(
                "no such run in this sweep", file=sweep.file, key="--only", found=run_id, expected=near(run_id, specs)
            )
    while waiting:
        spec = specs[waiting.pop()]
        if spec.run_id not in found:
            found.add(spec.run_id)
            waiting += [spec.parent.run_id] if spec.parent else []
            waiting += [forks[spec.run_id].parent] if spec.run_id in forks else []
    return found or set(specs)
