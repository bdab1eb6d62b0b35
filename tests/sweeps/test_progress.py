"""Progress is read from the runs' own files."""

from __future__ import annotations

import time
from pathlib import Path

from repro.run_folder import RunFolder
from repro.storage import Folder
from sweeps.grid import expand
from sweeps.progress import Progress

QUICK = Path(__file__).parents[2] / "sweeps" / "quick.yaml"


def test_it_counts_what_the_files_say_and_estimates_what_is_left(tmp_path: Path) -> None:
    sweep, place = expand(QUICK), Folder.open(tmp_path)
    todo = [planned.spec for planned in sweep.runs[:4]]
    progress = Progress(place, sweep, todo)
    done, running, failed, _ = (RunFolder(place / "runs" / spec.run_id) for spec in todo)
    assert "4 queued" in progress._line()
    time.sleep(0.01)
    done.progress("done", step=10, total_steps=10)
    running.progress("running", step=5, total_steps=10)
    failed.progress("failed", reason="why")
    line = progress._line()
    already = len(sweep.runs) - 4
    assert f"{already + 1} done, 1 running, 1 failed, 1 queued" in line
    assert "? left" not in line


def test_what_ended_before_the_driver_began_is_still_to_be_done(tmp_path: Path) -> None:
    sweep, place = expand(QUICK), Folder.open(tmp_path)
    RunFolder(place / "runs" / sweep.runs[0].spec.run_id).progress("failed", reason="earlier")
    time.sleep(0.01)
    assert "0 failed, 1 queued" in Progress(place, sweep, [sweep.runs[0].spec])._line()
