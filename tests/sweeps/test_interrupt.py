"""Ctrl-C: once saves and stops, twice stops now; then the same command goes on. The signal goes to all, as a terminal's does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from repro.corpus import build
from repro.resources import Resources
from repro.store.folder import Folder
from repro.training import train
from sweeps import grid
from tests.sweeps.driving import orphans, start, statuses, until
from tests.sweeps.tiny import declare, losses, run

pytestmark = pytest.mark.slow


def two_runs(root: Path) -> Path:
    """A short run and a long one: it begins first, and lasts several times as long as being told to stop may take."""
    file = declare(root)
    text = file.read_text().replace("budgets: {short: 2}", "budgets: {short: 2, long: 24}")
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

    code, out = run(tmp_path / "tiny.yaml")
    assert code == 0, out
    assert losses(tmp_path) == finished.losses


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
