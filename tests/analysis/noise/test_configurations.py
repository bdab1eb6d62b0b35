"""Seeds of one configuration are found by columns, and what stands apart is marked, rarely by chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.noise import configurations
from analysis.noise.configurations import FALSE_ALARM, apart, find
from analysis.tables import data
from repro.store.folder import Folder


def alike(rng: np.random.Generator, sd: float = 0.01) -> list[np.ndarray]:
    """Eleven configurations of two to five seeds and one normal noise, and one of a single seed."""
    return [3 + sd * rng.standard_normal(seeds) for seeds in (*[3] * 6, *[4] * 2, 5, *[2] * 2, 1)]


def test_chance_alone_marks_a_sweep_as_seldom_as_the_rule_says() -> None:
    rng = np.random.default_rng(0)
    share = np.mean([bool(apart(alike(rng))) for _ in range(400)])
    assert 0.2 * FALSE_ALARM < share < 1.5 * FALSE_ALARM


@pytest.mark.parametrize("losses", [[3.0, 3.004, 3.1], [3.0, 3.1], [3.0, 3.005, 3.08, 3.085]])
def test_two_modes_are_marked_and_nothing_else_is(losses: list[float]) -> None:
    calm = [3 + np.array(own) for own in ([0.0, 0.01, 0.02], [0.01, -0.01, 0.0, 0.003], [0.0, 0.012]) * 3]
    assert set(apart([*calm, np.array(losses)])) == {len(calm)}


def test_several_that_stand_apart_hide_none_of_them() -> None:
    rng = np.random.default_rng(1)
    odd = [np.array([3.0, 3.005, 3.3]), np.array([3.0, 3.15, 3.002])]
    assert set(apart([*odd, *alike(rng)])) >= {0, 1}


def test_without_others_to_measure_by_nothing_is_said() -> None:
    assert apart([np.array([3.0, 4.0, 3.5])]) == {}
    assert apart([np.array([3.0, 4.0]), np.array([1.0, 1.0])]) == {}


def test_kinds_follow_from_columns_whatever_the_labels_say(results: Path) -> None:
    tables = data.load(Folder.open(results))
    count = len(tables.runs)
    nameless = {name: np.empty(count, dtype=object) for name in ("studies", "budget")}
    for i in range(count):
        nameless["studies"][i], nameless["budget"][i] = ("runs",), "b"
    runs = replace(tables.runs, columns={**tables.runs.columns, **nameless})
    found = find(configurations.base_runs(replace(tables, runs=runs)))
    kinds = {c.runs["size"][0]: c.kind for c in found if c.sparsity == 0}
    assert kinds["25k-p40"] == kinds["25k-t80"] == "partner"
    assert kinds["8k"] == kinds["25k"] == kinds["90k"] == "dense"
    assert {c.base for c in found if c.kind == "partner"} == {"25k"}
    assert all((c.kind == "sparse") == (c.sparsity > 0) for c in found)


def test_runs_that_only_serve_studies_off_the_base_recipe_stay_out(results: Path) -> None:
    kept = configurations.base_runs(data.load(Folder.open(results)))
    assert {"robustness"} not in [set(own) for own in kept["studies"]]
    assert any("robustness" in own for own in kept["studies"])  # the centre serves the law too
