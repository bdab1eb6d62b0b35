"""Simulated sweeps as real Parquet in a results folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.findings.evidence import Evidence
from analysis.tables import data
from analysis.tables.data import Tables
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro.store.folder import Folder

Rows = list[dict[str, Any]]


@pytest.fixture
def swept(tmp_path: Path) -> Callable[..., Tables]:
    """Writes rows, or draws them from a truth, into a results folder and loads it as the commands do."""

    def make(rows: Rows | None = None, truth: Truth | None = None, **options: int) -> Tables:
        folder = Folder.open(tmp_path / "results")
        simulated_sweep.write(folder, simulated_sweep.simulate(truth or Truth(), **options) if rows is None else rows)
        return data.load(folder)

    return make


def promised(folder: Folder, rows: Rows, seconds: float | None = None) -> None:
    """Adds to a drawn sweep what its plan promised: costs, and where `seconds` are given, so many for each unit of cost."""
    planned: Rows = [{"run_id": r["run_id"], "tokens": r["D"], "cost": r["executed_flops"] / 1e6} for r in rows]
    for run in planned if seconds else ():
        run |= {"seconds": run["cost"] * seconds, "workers": 1}
    folder.write_json("sweep.json", {**folder.read_json("sweep.json"), "planned": planned})


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of a whole sweep that obeys the average-parameter law."""
    path = tmp_path_factory.mktemp("sweep") / "simulated"
    rows = simulated_sweep.simulate(Truth())
    simulated_sweep.write(Folder.open(path), rows)
    promised(Folder.open(path), rows)
    return path


@pytest.fixture(scope="session")
def evidence(results: Path) -> Evidence:
    """What follows from it, computed once for all who only read."""
    return Evidence(data.load(Folder.open(results)), resamples=100)


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of a few runs of one size and seed, without noise estimates."""
    path = tmp_path_factory.mktemp("sweep") / "few"
    rows = simulated_sweep.simulate(Truth())
    few = [
        r for r in rows if r["size"] == "25k" and r["budget"] == "10t" and r["sparsity"] in (0, 0.8) and r["seed"] == 0
    ]
    simulated_sweep.write(Folder.open(path), few)
    return path
