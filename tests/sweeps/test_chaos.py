"""Random kills over a sweep: of the driver, of a worker, of whoever is in the middle of writing a file."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.sweeps.driving import bears, orphans, start, statuses, until
from tests.sweeps.tiny import SWEEP, losses, run


def declare(root: Path, runs: int) -> Path:
    text = SWEEP.format(root=root, ratio=20, workers=1).replace(
        "checkpoint_every: 20", "checkpoint_every: 20, retries: 99"
    )
    study = f"  seeds: {{seeds: {list(range(runs))}, configurations: [{{size: 4k, budget: short, sparsity: 0.8}}]}}\n"
    first, last = text.index("studies:\n") + len("studies:\n"), text.index("resources:")
    root.mkdir(parents=True, exist_ok=True)
    file = root / "tiny.yaml"
    file.write_text(text[:first] + study + text[last:])
    return file


def at_work(root: Path) -> list[int]:
    return [s["owner"]["pid"] for s in statuses(root) if s["state"] == "running"]


def writing(root: Path) -> list[int]:
    """Processes that are in the middle of writing a file, by the names of their scratch files."""
    names = (p.name for p in (root / "results").rglob("*.tmp"))
    return [int(found[1]) for name in names if (found := re.search(r"-(\d+)-[0-9a-f]{8}\.tmp$", name))]


def ended(root: Path) -> dict[str, int]:
    """When the row of each run that is done was written."""
    runs = root / "results" / "tiny" / "runs"
    done = [p.parent for p in runs.glob("*/status.json") if json.loads(p.read_text())["state"] == "done"]
    return {p.name: (p / "run.parquet").stat().st_mtime_ns for p in done}


class Killer:
    """Kills a random process of a sweep at random moments."""

    def __init__(self, root: Path, file: Path, seed: int):
        self.root, self.file, self.chance = root, file, random.Random(seed)
        self.driver, self.mark = start(file)
        self.kills: list[str] = []
        self.done: dict[str, int] = {}

    def look(self) -> None:
        """No run that was done has been trained again."""
        now = ended(self.root)
        assert {run_id: now.get(run_id) for run_id in self.done} == self.done
        self.done = now

    def strike(self) -> None:
        """Waits until runs are at work, and a little; then kills."""
        until(lambda: at_work(self.root) or self.driver.poll() is not None)
        time.sleep(self.chance.uniform(0, 2.5))
        victim = self.chance.choice(["driver", "worker", "writer"])
        deadline = time.time() + 10
        while self.driver.poll() is None and time.time() < deadline:
            pids = {"driver": lambda _: [self.driver.pid], "worker": at_work, "writer": writing}[victim](self.root)
            if pids:
                with_mark = [pid for pid in pids if bears(pid, self.mark)]  # a number may have passed to another
                if with_mark:
                    os.kill(self.chance.choice(with_mark), signal.SIGKILL)
                    self.kills.append(victim)
                    if victim == "driver":
                        self.driver.wait()
                    break
            time.sleep(0 if victim == "writer" else 0.05)
        if self.driver.poll() is not None:
            self.again()

    def again(self) -> None:
        until(lambda: not orphans(self.mark), 60)
        self.look()
        self.driver, self.mark = start(self.file)


@pytest.mark.full
@pytest.mark.parametrize(
    ("runs", "kills"),
    [pytest.param(3, 2, id="2 kills"), pytest.param(20, 30, id="30 kills")],
)
def test_random_kills_lose_nothing_and_leave_nothing(runs: int, kills: int, tmp_path: Path) -> None:
    finished, root = tmp_path / "finished", tmp_path / "killed"
    code, out = run(declare(finished, runs))
    assert code == 0, out
    shutil.copytree(finished / "data", root / "data")
    killer = Killer(root, declare(root, runs), seed=kills)
    while len(killer.kills) < kills:
        killer.strike()
        assert len(ended(root)) < runs, f"it was over after {len(killer.kills)} kills"
    killer.look()
    if killer.driver.poll() is None:
        killer.driver.kill()
        killer.driver.wait()
    until(lambda: not orphans(killer.mark), 60)
    before = ended(root)

    code, out = run(killer.file)
    assert code == 0, out
    after = ended(root)
    assert {run_id: after[run_id] for run_id in before} == before, "trained again though it was done"
    assert losses(root) == losses(finished)
    left = [p.name for p in root.rglob("*")]
    assert not [n for n in left if ".tmp" in n or n.startswith("lease") or n.startswith("stop-")]
    until(lambda: not [p for p in psutil.process_iter() if str(killer.file) in " ".join(_words(p))], 30)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
