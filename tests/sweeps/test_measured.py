"""`sweeps run --measured`: runs are sized by what was measured. tests/sweeps/test_run.py trains a sweep with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.errors import UserError
from sweeps import assign_workers
from sweeps.__main__ import main
from sweeps.devices import Cluster
from sweeps.grid import expand
from tests.sweeps import small

H100 = Cluster(8, "h100")
PLANNED = {
    "resources": "{device: auto, sizing: plan}",
    "studies": "{law: {sizes: [4k, 13k], budgets: [10tpp], sparsities: [0, 0.8]}}",
}


def write(folder: Path, speeds: dict[str, dict[str, float]]) -> str:
    file = folder / "speeds.json"
    file.write_text(json.dumps({"tokens_per_second": speeds}))
    return str(file)


def test_a_slow_measurement_gives_a_run_the_workers_that_the_assumed_speed_does_not(tmp_path: Path) -> None:
    sweep = expand(small.write(tmp_path, **PLANNED))
    todo = [run.spec for run in sweep.runs]
    assumed = assign_workers.of(sweep, todo, H100)
    slow = assign_workers.of(sweep, todo, H100, write(tmp_path, {"h100": {"4k": 1000.0, "13k": 500.0}}))
    assert {own.workers for own in assumed.resources.values()} == {1}
    assert max(own.workers for own in slow.resources.values()) > 1
    assert slow.promised
    assert assumed.promised
    assert slow.promised["makespan_seconds"] > assumed.promised["makespan_seconds"]


def test_what_is_left_of_a_sweep_is_sized_by_the_sizes_of_the_whole(tmp_path: Path) -> None:
    sweep = expand(small.write(tmp_path, **PLANNED))
    left = [run.spec for run in sweep.runs if run.spec.size == "13k"]
    found = assign_workers.of(sweep, left, H100, write(tmp_path, {"h100": {"4k": 1000.0}}))
    assert {one.run_id for one in found.planned if one.seconds} == {spec.run_id for spec in left}


def test_gpus_of_several_types_have_no_measurement(tmp_path: Path) -> None:
    sweep = expand(small.write(tmp_path))
    with pytest.raises(UserError, match="of several types"):
        assign_workers.of(sweep, [run.spec for run in sweep.runs], None, write(tmp_path, {"h100": {"4k": 1.0}}))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["absent.json"], ["no such file", "absent.json"]),
        (["broken.json", "--dry-run"], ["unknown key", "speeds", "tokens_per_second"]),
    ],
)
def test_a_file_that_does_not_serve_is_refused_before_anything_is_built(
    words: list[str], says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.json").write_text('{"speeds": {}}')
    file = small.write(tmp_path, storage=f"{{corpus: {tmp_path}/data, results: {tmp_path}/results}}")
    assert main(["run", str(file), "--measured", str(tmp_path / words[0]), *words[1:]]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in says), said
    assert not (tmp_path / "data").exists()
