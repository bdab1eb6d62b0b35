"""One run of a sweep that can't end well fails alone, with its reason; real Ray, a real limit, a real full disk."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.repro.training.failing import tmpfs
from tests.sweeps.tiny import run

pytestmark = pytest.mark.slow

SWEEP = """
name: tiny
corpus: {{source: package, name: pydoc, heldout_fraction: 0.1}}
model: {{vocab: 300, sequence: 32, layers: 1, heads: 1}}
optimizer: {{batch: 4}}
sizes: {{4k: {{d_model: 8, mlp: 32, lr: 1.0e-2}}, 1m: {{d_model: 256, mlp: 1024, lr: 1.0e-3}}}}
budgets: {{short: 2, shorter: 0.01, long: 300}}
pruning: {{interval: 4}}
partners: {{mlp_multiple: 1}}
evaluation: {{blocks: 4, block_sequences: 2}}
repeat: true
studies:
  law: {{sizes: [4k], budgets: [short], sparsities: [0, 0.8]}}
runs:
  - {{id: bad, {bad}}}
resources: {{device: cpu, checkpoint_every: 20, {resources}}}
storage: {{corpus: {data}, results: {results}}}
"""
SOUND = ["4k-short-s00-seed0", "4k-short-s80-d25-p50-seed0"]

# Python imports this at its start; Ray's workers then have this much for their data, and the driver has no limit.
LIMIT = """
import resource, sys
if any(word.endswith("default_worker.py") for word in sys.orig_argv):
    resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))
"""

Declare = Callable[..., Path]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the corpus lies, which is built once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def declare(data: Path, tmp_path: Path) -> Declare:
    """Writes a sweep of two sound runs and the bad one."""

    def write(bad: str, resources: str, results: Path) -> Path:
        file = tmp_path / "tiny.yaml"
        file.write_text(SWEEP.format(bad=bad, resources=resources, data=data, results=results))
        return file

    return write


def statuses(results: Path) -> dict[str, dict]:
    return {p.parent.name: json.loads(p.read_text()) for p in (results / "tiny" / "runs").glob("*/status.json")}


def fails_alone(file: Path, results: Path) -> str:
    """The reason with which the bad run fails, while the others end well and are in the tables."""
    code, out = run(file)
    assert code == 1, out
    found = statuses(results)
    assert {i: status["state"] for i, status in found.items()} == dict.fromkeys(SOUND, "done") | {"bad": "failed"}
    reason = found["bad"]["reason"]
    assert f"\n  failed: bad: {reason}\n" in out
    assert "2 of 3 runs done, 2 trained now, 1 failed" in out
    place = results / "tiny"
    assert json.loads((place / "sweep.json").read_text())["failed"] == [{"run_id": "bad", "reason": reason}]
    for table in ("runs", "curves"):
        assert sorted(set(pq.read_table(place / f"{table}.parquet")["run_id"].to_pylist())) == SOUND
    return reason


@pytest.mark.full
def test_a_run_that_diverges_fails_alone(declare: Declare, tmp_path: Path) -> None:
    file = declare("size: 4k, budget: short, lr: 1.0e+30", "lanes: 2", tmp_path / "results")
    reason = fails_alone(file, tmp_path / "results")
    assert "not finite" in reason
    assert "at step 1" in reason


@pytest.fixture
def limited_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """4 GiB for a worker of Ray: a small run takes 2.3 GiB, one of a batch of 32,768 sequences would take more."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LIMIT.format(limit=4 << 30))
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.full
@pytest.mark.usefixtures("limited_workers")
def test_a_run_that_memory_does_not_suffice_for_fails_alone(declare: Declare, tmp_path: Path) -> None:
    greedy = "size: 4k, budget: long, batch: 32768"
    file = declare(greedy, "lanes: 1, out_of_memory: fail", tmp_path / "results")
    reason = fails_alone(file, tmp_path / "results")
    assert "out of memory with micro-batches of 32768 sequences" in reason
    assert "would fit" in reason


@pytest.mark.full
@pytest.mark.usefixtures("limited_workers")
def test_a_group_that_memory_does_not_suffice_for_is_started_again_with_less(declare: Declare, tmp_path: Path) -> None:
    greedy = "size: 4k, budget: long, batch: 32768"
    code, out = run(declare(greedy, "lanes: 1, workers: 2", tmp_path / "results"))
    assert code == 0, out
    status = statuses(tmp_path / "results")["bad"]
    assert "out of memory with micro-batches of 16384 sequences" in status["before"]
    [row] = pq.read_table(tmp_path / "results" / "tiny" / "runs" / "bad" / "run.parquet").to_pylist()
    assert (row["workers"], row["micro_batch"]) == (2, 8192)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Too small for a checkpoint of the larger model, which takes 14 MB."""
    with tmpfs(tmp_path / "disk", 4) as place:
        yield place


@pytest.mark.full
def test_a_run_that_the_disk_has_no_room_for_fails_alone_and_with_room_it_is_trained(
    declare: Declare, small_disk: Path
) -> None:
    file = declare("size: 1m, budget: shorter", "lanes: 1", small_disk)
    reason = fails_alone(file, small_disk)
    assert "the disk is full" in reason
    assert not (small_disk / "tiny" / "runs" / "bad" / "run.parquet").exists()
    assert not list(small_disk.rglob("*.tmp"))

    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    code, out = run(file)
    assert code == 0, out
    assert "3 of 3 runs done, 1 trained now, 0 failed" in out
    assert {status["state"] for status in statuses(small_disk).values()} == {"done"}
    assert set(pq.read_table(small_disk / "tiny" / "runs.parquet")["run_id"].to_pylist()) == {*SOUND, "bad"}
