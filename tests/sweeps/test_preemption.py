"""A run whose worker is killed more often than it may be retried, with progress between: it is done. Real kills."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from repro.store.folder import Folder
from repro.training.checkpoint_manifest import newest
from tests.sweeps.driving import start, statuses
from tests.sweeps.tiny import declare

pytestmark = pytest.mark.full

KILLS = 5


def test_five_kills_with_progress_between_them_do_not_fail_a_run_that_may_be_retried_once(tmp_path: Path) -> None:
    file = declare(tmp_path, ratio=30)
    kept = [line for line in file.read_text().splitlines(True) if "schedules:" not in line]
    file.write_text(
        "".join(kept).replace("sparsities: [0, 0.8]", "sparsities: [0.8]").replace("20}", "20, retries: 1}")
    )
    process, _ = start(file, "--lanes", "1")
    runs, killed, saved = Folder.open(tmp_path / "results/tiny/runs"), 0, ""
    while process.poll() is None and killed < KILLS:
        time.sleep(0.05)
        for name, status in zip(runs.names(), statuses(tmp_path), strict=False):
            if status["state"] == "running" and (now := newest(runs / name)) > saved:
                os.kill(status["owner"]["pid"], signal.SIGKILL)
                killed, saved = killed + 1, now
                time.sleep(0.5)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    assert killed == KILLS
    assert out.count("its worker died") == KILLS
    [status] = statuses(tmp_path)
    assert (status["state"], status["attempts"]) == ("done", KILLS + 1)
    assert "traceback in" in status["before"]
    assert (runs / runs.names()[0] / "errors").names()
