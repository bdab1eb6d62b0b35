"""A store that fails for half a minute while a sweep is trained: nothing dies, and every run is trained once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro import tables
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from tests.stores import BUCKET, serving
from tests.sweeps.tiny import ROOT, declare

pytestmark = pytest.mark.full


@pytest.mark.parametrize("workers", [1, 2])
def test_an_outage_of_30_seconds_kills_nothing(workers: int, tmp_path: Path) -> None:
    file = declare(tmp_path, ratio=8, workers=workers)
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "schedules:" not in line))
    with serving() as (store, _):
        place = Folder.open(f"s3://{BUCKET}/results/tiny")
        command = [sys.executable, "-m", "sweeps", "run", str(file), "--results", f"s3://{BUCKET}/results"]
        with subprocess.Popen(
            [*command, "--lanes", "2"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as driver:
            runs = place / "runs"
            while not any(RunFolder(runs / name).status()["state"] == "running" for name in runs.names()):
                assert driver.poll() is None, driver.communicate()[0]
                time.sleep(0.1)
            with store.outage(30):
                pass
            out, _ = driver.communicate(timeout=600)
        assert driver.returncode == 0, out
        assert "worker died" not in out
        assert "2 of 2 runs done, 2 trained now, 0 failed" in out
        assert all("attempts" not in RunFolder(runs / name).status() for name in runs.names())
        assert len(tables.read(place, "runs.parquet")) == 2
