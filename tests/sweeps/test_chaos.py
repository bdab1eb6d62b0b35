"""Five kills at random moments of the quick sweep. Long, so only `make test-full` runs it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
KILLS = 5


def command(results: Path) -> list[str]:
    return [sys.executable, "-m", "sweeps", "run", "sweeps/quick.yaml", "--results", str(results)]


def losses(results: Path) -> dict[str, list[float]]:
    return {r["run_id"]: r["loss_blocks"] for r in pq.read_table(results / "quick" / "runs.parquet").to_pylist()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[float]], float]:
    results, began = tmp_path_factory.mktemp("undisturbed"), time.time()
    subprocess.run(command(results), cwd=ROOT, check=True)
    return losses(results), time.time() - began


@pytest.mark.full
@pytest.mark.parametrize("seed", range(KILLS))
def test_a_kill_at_a_random_moment_changes_no_loss(
    seed: int, undisturbed: tuple[dict[str, list[float]], float], tmp_path: Path
) -> None:
    expected, seconds = undisturbed
    chance = random.Random(seed)
    victim = chance.choice(["driver", "worker"])
    process = subprocess.Popen(command(tmp_path), cwd=ROOT)
    time.sleep(chance.uniform(0.2, 0.9) * seconds)
    if victim == "driver":
        process.kill()
    else:
        states = (json.loads(p.read_text()) for p in (tmp_path / "quick" / "runs").glob("*/status.json"))
        for pid in {s["owner"]["pid"] for s in states if s["state"] == "running"}:
            os.kill(pid, signal.SIGKILL)
            break
    process.wait(timeout=600)
    subprocess.run(command(tmp_path), cwd=ROOT, check=True)
    assert losses(tmp_path) == expected
