"""Where Ray places runs: a real local Ray whose GPU is a number, which is all that placement knows of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from ray.util.placement_group import PlacementGroup, remove_placement_group

from repro import local_ray
from repro.resources import Resources
from repro.spec import RunSpec
from repro.training.assignment import Assignment
from sweeps import trial, tuner
from sweeps.grid import expand
from sweeps.run import run
from tests.sweeps import tiny

pytestmark = [pytest.mark.slow, pytest.mark.long]

Placed = Callable[[int], PlacementGroup]


@pytest.fixture(scope="module", autouse=True)
def one_gpu() -> Iterator[None]:
    ray.shutdown()
    local_ray.start(8, num_gpus=1)
    yield
    local_ray.stop()


@pytest.fixture
def placed(make_spec: Callable[..., RunSpec], tmp_path: Path) -> Iterator[Placed]:
    """The resources that a trial asks of Ray, asked of it."""
    groups = []

    def place(runs_per_gpu: int) -> PlacementGroup:
        assignment = Assignment(
            make_spec(), Resources(runs_per_gpu=runs_per_gpu), str(tmp_path), "corpus", "0" * 16, None, (), None, (),
            str(tmp_path), "mine", None, gpu=True,
        )  # fmt: skip
        groups.append(tuner.own_resources({trial.KEY: assignment.to_dict()})())
        return groups[-1]

    yield place
    for group in groups:
        remove_placement_group(group)


def gpus_of(group: PlacementGroup) -> list[int] | list[str]:
    share = group.bundle_specs[0]["GPU"]
    return ray.get(ray.remote(ray.get_gpu_ids).options(num_gpus=share, placement_group=group).remote())


def test_two_runs_share_a_gpu_and_a_third_starts_when_one_ends(placed: Placed) -> None:
    first, second, third = placed(2), placed(2), placed(2)
    assert first.wait(60)
    assert second.wait(60)
    assert gpus_of(first) == gpus_of(second) == [0]
    assert ray.available_resources().get("GPU", 0) == 0
    assert not third.wait(0)
    remove_placement_group(first)
    assert third.wait(60)
    assert gpus_of(third) == [0]


@pytest.mark.parametrize("count", [3, 7, pytest.param(64, marks=pytest.mark.full)])
def test_as_many_runs_as_are_said_fit_one_gpu_whatever_their_number(placed: Placed, count: int) -> None:
    groups = [placed(count) for _ in range(min(count, 8))]  # a CPU each
    assert all(group.wait(60) for group in groups)
    assert {group.bundle_specs[0]["GPU"] * count <= 1 for group in groups} == {True}


def test_a_sweep_trains_two_runs_at_once_on_one_gpu(tmp_path: Path) -> None:
    file = tiny.declare(tmp_path, ratio=0.5)
    two = [line for line in file.read_text().splitlines(True) if "schedules:" not in line]
    file.write_text("".join(two).replace("device: cpu, workers: 1", "runs_per_gpu: 2"))
    assert run(expand(file)) == 0
    made = json.loads((tmp_path / "results" / "tiny" / "sweep.json").read_text())
    assert made["training"]["lanes"] == 2
