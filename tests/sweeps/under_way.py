"""The folder of a sweep under way, made without training."""

from __future__ import annotations

import time
from pathlib import Path

from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from sweeps.sweep_json import Planned

RUNS = [Planned(f"run-{i}", tokens=1000, cost=10.0) for i in range(6)]
ASKED = [run.run_id for run in RUNS[2:]]


def six(path: Path) -> Folder:
    """Two runs ended before; of the four asked for, one is done, one at work, one failed and one waits."""
    folder, began = Folder.open(path), time.time() - 10
    kept = {"name": "six", "planned": [vars(run) for run in RUNS], "training": {"began": began, "runs": ASKED}}
    folder.write_json("sweep.json", kept)
    done, running, failed, _ = (RunFolder(folder / "runs" / run_id) for run_id in ASKED)
    done.progress("done", step=10, total_steps=10)
    running.progress("running", step=5, total_steps=10, tokens_per_second=100.0)
    failed.progress("failed", reason="not finite")
    return folder
