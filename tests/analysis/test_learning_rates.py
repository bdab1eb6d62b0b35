"""The best learning rate is the bottom of the bowl, or said to be unknown."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from analysis.learning_rates import best


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
