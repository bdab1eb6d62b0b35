"""Which rows are of one budget, and what is said of one beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.tables.budgets import Budgets, beyond


def test_rows_of_nearly_one_size_and_as_many_tokens_are_one_budget() -> None:
    n = np.array([1e8, 1.01e8, 1e7, 1e8, 1e7])
    d = np.array([2e9, 2.02e9, 2e9, 8e9, 2e9])
    found = Budgets.of({"N": n, "D": d})
    assert found.member.tolist() == [1, 1, 0, 2, 0]
    assert found.columns["C"] == pytest.approx([1.2e17, 6 * 1e8 * 2e9 * 1.01, 4.8e18], rel=1e-3)
    assert not found.ladder
    assert set(found.told_by) == {"N", "D"}


def test_many_budgets_at_small_steps_dont_run_together() -> None:
    flops = np.geomspace(1e18, 1e18 * 1.01**99, 100)
    assert 30 < len(Budgets.of({"C": flops})) < 60


def test_one_ratio_in_every_row_is_a_ladder_whose_budgets_compute_tells_apart() -> None:
    n = np.geomspace(1e7, 1e9, 5)
    found = Budgets.of({"N": n, "D": 20 * n})
    assert found.ladder
    assert set(found.told_by) == {"C"}
    assert found.at(4, times=4.0) == pytest.approx({"N": 2e9, "D": 4e10, "C": 4 * 120 * 1e18})


def test_what_lies_beyond_is_said_with_how_far() -> None:
    tried = np.array([1e18, 1e20])
    assert beyond(1e21, tried) == "extrapolated 10 times beyond the largest budget"
    assert beyond(2e17, tried, "N") == "extrapolated 5 times below the smallest N"
    assert beyond(1.01e20, tried) is None
    assert beyond(float("inf"), tried) is None
