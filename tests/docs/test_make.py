"""What `make` says on the pages, for real: in a folder of links to the checkout, with the Python that runs the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import plain
from tests.cluster.nodes import Cluster
from tests.docs.commands import ROOT
from tests.sweeps.tiny import IDS, declare

pytestmark = [pytest.mark.slow, pytest.mark.long]

RATES = "studies: {lr: {sizes: [4k], budgets: [short], sparsities: [0], multiples: [0.5, 1, 2]}}\n"


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with the checkout's files, and the sweeps tiny.yaml and tiny-lr.yaml, whose results lie in it."""
    for name in ("Makefile", "analysis", "cluster", "repro", "requirements.lock", "sweeps"):
        (tmp_path / name).symlink_to(ROOT / name)
    file = declare(tmp_path)
    text = file.read_text()
    head, tail = text.index("studies:"), text.index("resources:")
    (tmp_path / "tiny-lr.yaml").write_text(text[:head].replace("name: tiny", "name: tiny-lr") + RATES + text[tail:])
    (tmp_path / "speeds.json").write_text(json.dumps({"tokens_per_second": {"cpu": {"4k": 25_000.0}}}))
    return tmp_path


def make(folder: Path, *words: str, **environment: str) -> str:
    """What it prints. `--old-file`: .venv isn't made, since `PY` is the Python that there is."""
    call = ["make", "--no-print-directory", "--old-file=.venv/.done", f"PY={sys.executable}", *words]
    done = subprocess.run(call, cwd=folder, env=plain.environment() | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_sweep_is_made_with_its_rates_and_one_run_again(linked: Path) -> None:
    said = make(linked, "reproduce", "SWEEP=tiny.yaml", "LR=1", "MEASURED=speeds.json")
    assert "3 of 3 runs done, 3 trained now" in said
    assert "lr" in said
    assert f"{len(IDS)} of {len(IDS)} runs done, {len(IDS)} trained now" in said
    assert said.splitlines()[-1] == "report: results/tiny/report.html"
    assert (linked / "results" / "tiny" / "report.html").stat().st_size > 1e5
    place = linked / "results" / "tiny" / "runs" / IDS[0]
    assert "1 trained now" not in make(linked, "run", f"RUN={IDS[0]}", "SWEEP=tiny.yaml")
    os.rename(place, linked / "before")
    assert "1 trained now" in make(linked, "run", f"RUN={IDS[0]}", "SWEEP=tiny.yaml")
    assert (place / "run.parquet").exists()


@pytest.mark.full
def test_a_sweep_is_made_on_a_cluster(linked: Path) -> None:
    cluster = Cluster()
    try:
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": cluster.token}
        said = make(linked, "reproduce", "SWEEP=tiny.yaml", f"RAY_ADDRESS={cluster.gcs}", **token)
    finally:
        cluster.close()
    assert f"{len(IDS)} of {len(IDS)} runs done, {len(IDS)} trained now" in said
    assert said.splitlines()[-1] == "report: results/tiny/report.html"
