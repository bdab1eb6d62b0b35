"""The best learning rate is the bottom of the bowl, or said to be unknown."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.__main__ import main
from analysis.learning_rates import best
from repro.errors import UserError


def table(points: list[tuple[float, float]]) -> pa.Table:
    return pa.table(
        {
            "studies": [["lr"]] * len(points) + [["law"]],
            "size": ["9k"] * (len(points) + 1),
            "budget": ["x"] * (len(points) + 1),
            "lr": [lr for lr, _ in points] + [1.0],
            "loss": [loss for _, loss in points] + [0.0],
        }
    )


def test_it_is_the_vertex_of_the_parabola_in_log_lr() -> None:
    bowl = [(lr, 3 + 0.1 * math.log(lr / 0.013) ** 2) for lr in (0.004, 0.008, 0.016, 0.032)]
    [found] = best(table(bowl))
    assert found.lr == pytest.approx(0.013, rel=0.01)
    assert (found.tried, found.at_edge) == (4, False)


def test_a_least_loss_at_the_edge_is_said_to_be_one() -> None:
    [found] = best(table([(0.004, 3.0), (0.008, 3.1), (0.016, 3.2)]))
    assert found.at_edge
    assert found.lr == 0.004


def test_a_rate_that_diverged_is_no_outcome_and_is_counted() -> None:
    [found] = best(table([(0.004, 3.2), (0.008, 3.0), (0.016, 3.1), (0.032, math.nan), (0.064, math.inf)]))
    assert (found.tried, found.unusable, found.at_edge) == (3, 2, False)
    assert 0.004 < found.lr < 0.016


def test_seeds_of_one_rate_count_once() -> None:
    [found] = best(table([(lr, 3 + (lr != 0.008) * 0.1 + d) for lr in (0.004, 0.008, 0.016) for d in (-0.01, 0.01)]))
    assert (found.tried, found.lr) == (3, 0.008)
    assert found.loss == pytest.approx(3.0)


def test_equal_losses_have_no_vertex() -> None:
    [found] = best(table([(0.004, 3.0), (0.008, 3.0), (0.016, 3.0)]))
    assert found.lr == 0.004


def test_a_sweep_without_such_a_study_is_said_to_be_one(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr", str(quick)]) == 2
    told = capsys.readouterr().err
    assert "no learning-rate study" in told
    assert "schedules" in told


@pytest.mark.parametrize("points", [[(0.004, math.nan)], [(0.004, -1.0), (0.008, math.inf)]])
def test_a_study_without_a_finite_loss_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(UserError, match="finite loss"):
        best(table(points))
