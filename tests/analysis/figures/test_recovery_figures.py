"""The figures of training after pruning show what was measured and what the law says, and nothing in other sweeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis import figures
from analysis.figures import extrapolations, recovery, style, tokens_wanted
from analysis.figures.panel import figure
from analysis.findings.evidence import Evidence
from analysis.findings.post_training import Recovery
from analysis.worlds import simulated_post_training as simulated

pytestmark = pytest.mark.slow
METHODS = ("depth-taylor",)


@pytest.fixture(scope="module")
def recovered() -> Evidence:
    tables = simulated.simulate(methods=METHODS, level=0.0015, point=0.0005)
    start = {name: np.array(simulated.THETA[name]) for name in METHODS}
    return Evidence(tables, 100, given_curves=replace(Recovery.of(tables, 100), start=start))


def test_every_point_is_drawn_with_the_laws_curve_and_the_row_at_no_tokens_is_in_the_numbers(
    recovered: Evidence,
) -> None:
    rows = recovery.rows(recovered)
    assert len(rows) == 15 * 11
    assert [row["predicted"] is None for row in rows].count(True) == 15  # at D = 0 no law says anything
    panels = recovery.panels(recovered)
    assert len(panels) == 3
    assert sum(len(points.x) for panel in panels for points in panel.points) == 150
    with style.applied():
        assert figure(panels, columns=recovery.COLUMNS).axes


def test_held_out_points_stand_beside_their_predictions(recovered: Evidence) -> None:
    rows = extrapolations.rows(recovered)
    count = {way: sum(row["way"] == way for row in rows) for way in extrapolations.WAYS}
    assert list(count.values()) == [15 * 2, 3 * 10, 5 * 10]
    late = [row for row in rows if row["way"] == extrapolations.WAYS[0]]
    assert max(abs(row["predicted"] - row["measured"]) for row in late) < 0.02
    size = [row for row in rows if row["way"] == extrapolations.WAYS[1]]
    assert all(row["low"] < row["predicted"] < row["high"] for row in size)  # all fits that are as good


def test_wanted_tokens_are_where_a_curve_crosses() -> None:
    tokens, over = np.array([1e3, 1e4, 1e5]), np.array([0.4, 0.2, 0.1])
    assert tokens_wanted.crossing(tokens, over, 0.2) == pytest.approx(1e4)
    assert tokens_wanted.crossing(tokens, over, 0.15) == pytest.approx(10**4.5)
    assert tokens_wanted.crossing(tokens, over, 0.05) is None  # not reached
    assert tokens_wanted.crossing(tokens, over, 0.5) is None  # from the first point on


def test_the_law_says_the_tokens_at_which_its_own_curve_crosses(recovered: Evidence) -> None:
    crossed = [row for row in tokens_wanted.rows(recovered) if row["measured"] and row["predicted"]]
    assert crossed
    assert all(abs(np.log(row["predicted"] / row["measured"])) < 0.3 for row in crossed)
    assert tokens_wanted.panels(recovered)


def test_other_sweeps_have_none_of_them(evidence: Evidence) -> None:
    assert not any(module.applies(evidence.tables) for module in (recovery, extrapolations, tokens_wanted))
    assert recovery not in figures._modules(evidence)
