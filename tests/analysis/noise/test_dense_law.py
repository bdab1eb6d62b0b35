"""Dense runs on the law give it back with E; dense runs off it, or too few, say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.laws.registry import N_AVG
from analysis.noise import configurations, dense_law
from analysis.noise.spread import measure
from analysis.tables import data
from analysis.tables.data import Runs
from analysis.worlds.simulated_sweep import Truth
from repro.store.folder import Folder


@pytest.fixture(scope="module")
def runs(results: Path) -> Runs:
    """The dense runs of a simulated sweep."""
    base = configurations.base_runs(data.load(Folder.open(results)))
    return base.where(~base.sparse)


def examined(runs: Runs, theta: tuple[float, ...] = Truth().theta, bent: float = 0.0) -> Any:
    """What is said of runs on the law of these parameters, noise of .002 nats added, and a bend that no law has."""
    loss = N_AVG.predict(np.array(theta), {"N_avg": runs["N_prunable"], "D": runs["D"]})
    loss += 0.002 * np.random.default_rng(0).standard_normal(len(runs)) + bent * np.sin(runs["N_prunable"] + runs["D"])
    drawn = replace(runs, columns={**runs.columns, "loss": loss})
    return dense_law.examine(configurations.find(drawn), measure(drawn).overall)


def test_runs_on_the_law_give_it_back(runs: Runs) -> None:
    found = examined(runs)
    assert found.not_identified is None
    for name, true in zip(N_AVG.names, Truth().theta, strict=True):
        low, high = found.intervals[name]
        assert low < true < high
    assert found.error < found.left_out < 0.006


def test_a_law_without_a_floor_has_no_identified_one(runs: Runs) -> None:
    assert "E" in examined(runs, (0.0, 40.0, 0.35, 250.0, 0.4)).not_identified


def test_runs_off_the_law_widen_the_interval_beyond_the_seeds_noise(runs: Runs) -> None:
    straight, bent = examined(runs), examined(runs, bent=0.03)
    assert bent.error > 5 * straight.error
    assert np.ptp(bent.intervals["E"]) > 5 * np.ptp(straight.intervals["E"])


@pytest.mark.parametrize(("sizes", "reason"), [([], "no dense run"), (["8k", "25k"], "N_avg takes fewer than three")])
def test_too_few_sizes_are_no_law(runs: Runs, sizes: list[str], reason: str) -> None:
    found = examined(runs.where(np.isin(runs["size"].astype(str), sizes)))
    assert found.result is None
    assert reason in found.reason
