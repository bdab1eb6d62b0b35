"""Several small runs a GPU: chosen where a measurement says that they gain by it, priced, and given to the runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro.errors import UserError
from sweeps import assign_workers
from sweeps.devices import Cluster
from sweeps.forecast import forecast
from sweeps.grid import Sweep, expand
from sweeps.throughput import Measured

SWEEPS = Path(__file__).parents[2] / "sweeps"
ALONE = {"1m": 8e6, "3m": 6e6, "10m": 3e6}
H100 = Cluster(1, "h100", 1)


@pytest.fixture(scope="module")
def tuning() -> Sweep:
    return expand(SWEEPS / "gpu-lr.yaml")


def measured(folder: Path, beside: dict[str, Any]) -> Path:
    file = folder / "measured.json"
    file.write_text(json.dumps({"tokens_per_second": {"h100": ALONE}, "beside": {"h100": beside}}))
    return file


def test_runs_share_a_gpu_as_many_as_gain_the_most(tuning: Sweep, tmp_path: Path) -> None:
    gains = {size: {"2": 1.5 * rate, "4": 1.8 * rate, "8": 1.2 * rate} for size, rate in ALONE.items()}
    alone = forecast(tuning, H100, measured(tmp_path, {}))
    found = forecast(tuning, H100, measured(tmp_path, gains))
    assert {run.runs_per_gpu for run in alone.runs} == {1}
    assert {(run.workers, run.runs_per_gpu) for run in found.runs} == {(1, 4)}
    start = 0.7 / 3600
    hours = {run.run_id: run.hours for run in alone.runs}
    for run in found.runs:
        assert run.hours - start == pytest.approx((hours[run.run_id] - start) * 4 / 1.8)
        assert run.gpu_hours == pytest.approx(run.hours / 4)
    assert found.gpu_hours == pytest.approx(sum(run.gpu_hours for run in found.runs))
    assert found.gpu_hours / found.busy == pytest.approx(found.makespan_hours)
    assert found.makespan_hours < alone.makespan_hours / 1.7


@pytest.mark.parametrize(("sizing", "gain", "memory"), [("declared", 1.5, 80), ("plan", 0.99, 80), ("plan", 1.5, 0.2)])
def test_runs_do_not_share_where_it_is_not_asked_for_gains_nothing_or_does_not_fit(
    tuning: Sweep, tmp_path: Path, sizing: Any, gain: float, memory: float
) -> None:
    sweep = replace(tuning, resources=replace(tuning.resources, sizing=sizing, compile=False))
    gains = {size: {"2": gain * rate} for size, rate in ALONE.items()}
    found = forecast(sweep, replace(H100, memory=memory), measured(tmp_path, gains))
    assert {run.runs_per_gpu for run in found.runs} == {1}


def test_the_runs_are_given_what_the_plan_chose(tuning: Sweep, tmp_path: Path) -> None:
    file = measured(tmp_path, {size: {"2": 1.5 * rate} for size, rate in ALONE.items()})
    specs = [run.spec for run in tuning.runs]
    sizes = assign_workers.of(tuning, specs, H100, str(file))
    assert {(one.workers, one.runs_per_gpu) for one in sizes.resources.values()} == {(1, 2)}


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        ({"1m": {"1": 1.0}}, "not a number of runs"),
        ({"1m": {"two": 1.0}}, "not a number of runs"),
        ({"1m": {"65": 1.0}}, "not a number of runs"),
        ({"1m": {"2": 0}}, "out of range"),
        ({"2m": {"2": 1.0}}, "no throughput of a single run"),
    ],
)
def test_a_measurement_that_cannot_be_is_refused(beside: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        Measured.read(measured(tmp_path, beside))
