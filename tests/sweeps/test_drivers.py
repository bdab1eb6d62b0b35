"""Several drivers on one results folder: every run is trained once, whoever does it. Real drivers, a disk and S3."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from repro import tables
from repro.store.folder import Folder
from tests.sweeps.tiny import ROOT, SWEEP

pytestmark = [pytest.mark.slow, pytest.mark.long]

FULL = pytest.mark.full


def declare(root: Path, runs: int) -> Path:
    text = SWEEP.format(root=root, ratio=2, workers=1)
    study = f"  seeds: {{seeds: {list(range(runs))}, configurations: [{{size: 4k, budget: short, sparsity: 0.8}}]}}\n"
    first, last = text.index("studies:\n") + len("studies:\n"), text.index("resources:")
    file = root / "tiny.yaml"
    file.write_text(text[:first] + study + text[last:])
    return file


def drive(file: Path, store: str, drivers: int) -> list[str]:
    """What each of so many drivers says that begin together."""
    command = [sys.executable, "-m", "sweeps", "run", str(file), "--results", store, "--lanes", "1"]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(drivers)
    ]
    said = [process.communicate(timeout=600)[0] for process in started]
    assert [process.returncode for process in started] == [0] * drivers, said
    return said


@pytest.mark.parametrize("store", ["local", pytest.param("s3", marks=FULL)], indirect=True)
@pytest.mark.parametrize(
    ("drivers", "runs"),
    [
        (2, 3),
        pytest.param(2, 5, marks=FULL),
        pytest.param(1, 5, marks=FULL),
        pytest.param(3, 3, marks=FULL),
        pytest.param(5, 2, marks=FULL),
    ],
)
def test_every_run_is_trained_once(drivers: int, runs: int, store: str, tmp_path: Path) -> None:
    said = drive(declare(tmp_path, runs), store, drivers)
    trained = [int(count) for text in said for count in re.findall(r"(\d+) trained now", text)]
    assert len(trained) == drivers
    assert not any("worker died" in text for text in said), "\n".join(said)
    assert sum(trained) == runs, "\n".join(said)
    place = Folder.open(f"{store}/tiny")
    rows = tables.read(place, "runs.parquet").to_pylist()
    assert len({row["run_id"] for row in rows}) == len(rows) == runs
    left = [name for run in (place / "runs").names() for name in (place / "runs" / run).names()]
    assert not [name for name in left if name.startswith("lease") or name.endswith(".tmp")]
