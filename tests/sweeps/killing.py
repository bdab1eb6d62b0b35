"""A sweep whose driver and workers are killed at random moments, also in the middle of writing a file."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import time
from pathlib import Path

from tests.sweeps.driving import bears, orphans, start, statuses, until


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
        until(lambda: not orphans(self.mark), 180)  # what Ray has just started gives up late
        self.look()
        self.driver, self.mark = start(self.file)
