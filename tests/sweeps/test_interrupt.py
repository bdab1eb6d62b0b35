"""Ctrl-C: once saves and stops, twice stops now; then the same command goes on. The signal goes to all, as a terminal's does.

A signal to a worker alone, whose machine is going: the run saves, and the driver goes on with it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from repro.corpus import build
from repro.resources import Resources
from repro.store.folder import Folder
from repro.training import train
from sweeps import grid
from tests.sweeps.driving import orphans, start, statuses, until
from tests.sweeps.tiny import declare, losses, run

pytestmark = [pytest.mark.slow, pytest.mark.long]


def two_runs(root: Path) -> Path:
    """A short run and a long one: it begins first, and lasts several times as long as being told to stop may take."""
    file = declare(root)
    text = file.read_text().replace("budgets: {short: 2}", "budgets: {short: 2, long: 20}")
    text = text.replace("budgets: [short], sparsities: [0, 0.8]", "budgets: [short, long], sparsities: [0.8]")
    file.write_text("".join(line for line in text.splitlines(True) if "schedules:" not in line))
    return file


@dataclass(frozen=True)
class Finished:
    """The same runs, never disturbed: the root with their text, and their losses."""

    root: Path
    losses: dict[str, list[float]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    root, found = tmp_path_factory.mktemp("finished"), {}
    for planned in grid.expand(two_runs(root)).runs:
        spec = planned.spec
        text = build(spec.corpus, spec.model.vocab, spec.model.sequence, root / "data")
        folder = Folder.open(root / spec.run_id)
        found[spec.run_id] = train.train(spec, folder, text, Resources(device="cpu"))["loss_blocks"]
    return Finished(root, found)


def begun(root: Path, finished: Finished) -> tuple[subprocess.Popen, str]:
    """A sweep of which the long run is at work."""
    shutil.copytree(finished.root / "data", root / "data")
    process, mark = start(two_runs(root), "--lanes", "1")
    until(lambda: "running" in {s["state"] for s in statuses(root)})
    return process, mark


def seconds(root: Path) -> float:
    """What sweep.json says that training took."""
    [file] = (root / "results").rglob("sweep.json")
    return float(json.loads(file.read_text())["seconds"])


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.full)])
def test_once_saves_checkpoints_and_stops_and_the_next_start_goes_on(
    number: int, finished: Finished, tmp_path: Path
) -> None:
    process, mark = begun(tmp_path, finished)
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert "stopping: running runs save a checkpoint first" in out
    assert "run the same command again to resume" in out
    assert "worker died" not in out
    found = statuses(tmp_path)
    assert [s["state"] for s in found] == ["queued"]
    [stopped] = found
    assert 0 < stopped["step"] < stopped["total_steps"]
    names = {p.name for p in (tmp_path / "results").rglob("*")}
    assert f"step-{stopped['step']:08d}" in names
    assert not [name for name in names if name.startswith("stop-") or name.startswith("lease") or name.endswith(".tmp")]
    until(lambda: not orphans(mark), 30)
    first = seconds(tmp_path)

    began = time.monotonic()
    code, out = run(tmp_path / "tiny.yaml", "--lanes", "1")
    assert code == 0, out
    assert losses(tmp_path) == finished.losses
    assert first < seconds(tmp_path) < first + time.monotonic() - began  # of both starts


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_twice_stops_now_and_leaves_no_process(number: int, finished: Finished, tmp_path: Path) -> None:
    process, mark = begun(tmp_path, finished)
    os.killpg(process.pid, number)
    time.sleep(0.2)
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "stopped; run the same command again to resume" in out
    until(lambda: not orphans(mark), 30)

    code, out = run(tmp_path / "tiny.yaml")
    assert code == 0, out
    assert losses(tmp_path) == finished.losses
    assert not [p for p in (tmp_path / "results").rglob("*") if p.name.endswith(".tmp") or p.name.startswith("stop-")]


def workers_of(mark: str) -> list[int]:
    """Processes of worker groups."""
    return [pid for pid in orphans(mark) if "RayTrainWorker" in " ".join(psutil.Process(pid).cmdline())]


@pytest.mark.full
def test_a_worker_that_is_told_to_stop_saves_and_its_driver_goes_on_with_the_run(
    finished: Finished, tmp_path: Path
) -> None:
    """A run's only worker is told, and of another's two workers the second."""
    shutil.copytree(finished.root / "data", tmp_path / "data")
    file = two_runs(tmp_path)
    file.write_text(
        file.read_text()
        .replace("sizes: {4k", "sizes: {5k: {d_model: 8, mlp: 48, lr: 1.0e-2}, 4k")
        .replace("short: 2", "short: 8")
        .replace("budgets: [short, long]", "budgets: [long]")
        .replace("resources:", "runs: [{id: group, size: 5k, budget: short, sparsity: 0.8}]\nresources:")
        .replace("workers: 1", "workers_by_size: {5k: 2}, retries: 0")
    )
    process, mark = start(file)
    told: set[str] = set()
    while process.poll() is None and len(told) < 2:
        for status in statuses(tmp_path):
            if (
                status["state"] == "running"
                and status["step"] > 0
                and (run_id := str(status["total_steps"])) not in told
            ):
                owner = status["owner"]["pid"]
                others = [pid for pid in workers_of(mark) if pid != owner]
                os.kill(others[0] if status["workers"] == 2 else owner, signal.SIGTERM)
                told.add(run_id)
        time.sleep(0.05)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert len(told) == 2
    assert out.count("its worker was told to stop; again in") == 2
    assert "worker died" not in out
    assert [(s["state"], s.get("attempts")) for s in statuses(tmp_path)] == [("done", None)] * 2
