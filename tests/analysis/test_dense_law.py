"""Dense runs on the law give it back with E; dense runs off it, or too few, say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis import configurations, dense_law, simulated_sweep
from analysis.noise import measure
from analysis.simulated_sweep import Truth


def examined(tables) -> Any:
    runs = configurations.base_runs(tables)
    return dense_law.examine(configurations.find(runs), measure(runs).overall)


def test_runs_on_the_law_give_it_back(swept) -> None:
    found = examined(swept(truth=Truth(sigma=0.002)))
    assert found.not_identified is None
    assert found.intervals is not None
    for name, true in zip(("E", "A", "alpha", "B", "beta"), Truth().theta, strict=True):
        low, high = found.intervals[name]
        assert low < true < high
    assert found.error < found.left_out < 0.006


def test_a_law_without_a_floor_has_no_identified_one(swept) -> None:
    found = examined(swept(truth=Truth(theta=(0.0, 40.0, 0.35, 250.0, 0.4))))
    assert found.not_identified is not None
    assert "E" in found.not_identified


def test_runs_off_the_law_widen_the_interval_beyond_the_seeds_noise(swept) -> None:
    rows = simulated_sweep.simulate(Truth(sigma=0.002))
    straight = examined(swept(rows))
    for row in rows:
        row["loss"] += 0.03 * np.sin(row["N_prunable"] + row["D"])
    bent = examined(swept(rows))
    assert bent.error > 5 * straight.error
    assert np.ptp(bent.intervals["E"]) > 5 * np.ptp(straight.intervals["E"])


@pytest.mark.parametrize(("sizes", "reason"), [((), "no dense run"), (("8k", "25k"), "N_avg takes fewer than three")])
def test_too_few_sizes_are_no_law(swept, sizes: tuple[str, ...], reason: str) -> None:
    rows = [r for r in simulated_sweep.simulate(Truth()) if r["sparsity"] > 0 or r["size"] in sizes]
    found = examined(swept(rows))
    assert found.result is None
    assert reason in found.reason
