"""What a plan promised is held against what the runs took, with whatever keys the sweep left."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import claims, figures
from analysis.figures import promise
from analysis.findings import plan_vs_actual
from analysis.findings.evidence import Evidence
from analysis.report.page import render
from analysis.tables import data
from analysis.worlds import simulated_sweep
from analysis.worlds.simulated_sweep import Truth
from repro.store.folder import Folder

ROWS = simulated_sweep.simulate(Truth())[:4]
COSTS = (1.0, 1.0, 2.0, 4.0)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.open(tmp_path / "results")


def left(
    folder: Folder,
    seconds: tuple[float, ...],
    *,
    planned: list[dict[str, Any]] | None = None,
    workers: tuple[int, ...] = (1, 1, 1, 1),
    **sweep: Any,
) -> Evidence:
    """A results folder of four runs that took `seconds`, with further keys of its sweep.json."""
    rows = [row | {"seconds": took, "workers": w} for row, took, w in zip(ROWS, seconds, workers, strict=True)]
    simulated_sweep.write(folder, rows)
    plans = planned or [
        {"run_id": row["run_id"], "tokens": 1, "cost": cost} for row, cost in zip(ROWS, COSTS, strict=True)
    ]
    folder.write_json("sweep.json", {**folder.read_json("sweep.json"), "planned": plans, **sweep})
    return Evidence(data.load(folder), resamples=100)


def facts(evidence: Evidence) -> dict[str, str]:
    assert evidence.promise is not None
    return dict(plan_vs_actual.summary(evidence.tables, evidence.promise))


def test_costs_are_shares_of_what_all_runs_took(folder: Folder) -> None:
    found = left(folder, (2.0, 1.0, 2.0, 3.0)).promise
    assert found is not None
    assert not found.in_seconds
    assert [row["promised_seconds"] for row in found.rows] == [1.0, 1.0, 2.0, 4.0]
    assert [row["ratio"] for row in found.rows] == [2.0, 1.0, 1.0, 0.75]
    assert found.deviation == 0.125  # of 1, 0, 0 and .25
    assert [row["run"] for row in found.worst()][:2] == [ROWS[0]["run_id"], ROWS[3]["run_id"]]


def test_a_run_of_more_workers_does_its_cost_in_less_time(folder: Folder) -> None:
    found = left(folder, (1.0, 1.0, 2.0, 1.0), workers=(1, 1, 1, 4)).promise
    assert found is not None
    assert [row["ratio"] for row in found.rows] == [1.0] * 4


def test_seconds_are_taken_as_promised_where_every_run_has_them(folder: Folder) -> None:
    plans = [{"run_id": row["run_id"], "tokens": 1, "cost": 1.0, "seconds": 10.0, "workers": 2} for row in ROWS]
    found = left(folder, (5.0, 10.0, 20.0, 10.0), planned=plans).promise
    assert found is not None
    assert found.in_seconds
    assert [row["ratio"] for row in found.rows] == [0.5, 1.0, 2.0, 1.0]
    assert [row["promised_workers"] for row in found.rows] == [2] * 4
    plans[0].pop("seconds")
    half = left(folder, (5.0, 10.0, 20.0, 10.0), planned=plans).promise
    assert half is not None
    assert not half.in_seconds


def test_a_run_that_was_not_trained_or_not_planned_is_left_out(folder: Folder) -> None:
    plans = [{"run_id": i, "tokens": 1, "cost": 1.0} for i in (ROWS[0]["run_id"], ROWS[1]["run_id"], "never")]
    found = left(folder, (3.0, float("nan"), 1.0, 1.0), planned=plans).promise
    assert found is not None
    assert [row["run_id"] for row in found.rows] == [ROWS[0]["run_id"]]


def test_the_makespan_and_what_the_lanes_did_of_it(folder: Folder) -> None:
    runs = [row["run_id"] for row in ROWS]
    training = {"began": 0.0, "seconds": 5.0, "lanes": 2, "runs": runs}
    told = {"makespan_seconds": 4.0, "lower_bound_seconds": 3.5}
    said = facts(left(folder, (2.0, 1.0, 2.0, 3.0), training=training, promised=told))
    assert said["makespan"] == (
        "took 5 s; promised 4 s (took 1.25 times as long); no order of these runs was promised to take less than 3.5 s"
    )
    # Eight seconds of training and four times .1 of setting up, of two lanes times five seconds.
    assert said["lanes"] == "2: 80.0% training, 4.0% setting up and saving, 16.0% idle"
    wide = facts(left(folder, (1.0, 1.0, 2.0, 1.0), workers=(2, 2, 2, 4), training=training))
    assert wide["lanes"].startswith("2: 60.0% training")  # the last holds two lanes
    assert wide["makespan"] == "took 5 s"


def test_a_training_that_went_on_is_not_held_against_the_whole_plan(folder: Folder) -> None:
    training = {"began": 0.0, "seconds": 1.0, "lanes": 1, "runs": [ROWS[0]["run_id"]]}
    said = facts(left(folder, (2.0, 1.0, 1.0, 1.0), training=training, promised={"makespan_seconds": 9.0}))
    assert said["makespan"] == "the last training took 1 s for 1 of 4 runs; the others were done before"
    assert "idle share isn't known" in said["lanes"]


@pytest.mark.parametrize("sweep", [{}, {"training": {"began": 1.0, "runs": []}}, {"training": {"seconds": 3.0}}])
def test_every_key_may_be_missing(folder: Folder, sweep: dict[str, Any]) -> None:
    assert "typical deviation" in facts(left(folder, (1.0, 1.0, 1.0, 1.0), **sweep))


@pytest.mark.slow
def test_a_folder_without_a_plan_has_no_such_section(folder: Folder) -> None:
    simulated_sweep.write(folder, ROWS)
    evidence = Evidence(data.load(folder), resamples=100)
    assert evidence.promise is None
    page = render(evidence, claims.judge(evidence), (figures.write(promise, evidence, folder / "figures"),))
    assert 'id="planned"' not in page
    assert "Plan and outcome" not in page
    assert "Measured against promised" not in page


@pytest.mark.slow
def test_the_page_shows_the_facts_the_figure_and_the_worst(folder: Folder) -> None:
    evidence = left(folder, (2.0, 1.0, 2.0, 3.0))
    figure = figures.write(promise, evidence, folder / "figures")
    page = html.unescape(render(evidence, claims.judge(evidence), (figure,)))
    section = page[page.index('id="planned"') : page.index('id="made"')]
    assert "12%: median of |measured / promised − 1| over 4 runs" in section
    assert "Measured against promised time" in section
    assert ROWS[0]["run_id"] in section
    [panel] = figure.panels
    assert {r for points in panel.points for r in points.runs} == {row["run_id"] for row in ROWS}
    assert np.array_equal(np.sort(np.concatenate([p.y for p in panel.points])), [1.0, 2.0, 2.0, 3.0])
    assert (panel.log_x, panel.log_y) == (True, True)
    assert page.count('id="promise"') == 1


@pytest.mark.parametrize(("seconds", "shown"), [(3.0, "3 s"), (300.0, "5.0 minutes"), (9000.0, "2.5 hours")])
def test_a_length_of_time_is_in_the_unit_that_suits_it(seconds: float, shown: str) -> None:
    assert plan_vs_actual.span(seconds) == shown
