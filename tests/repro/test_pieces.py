"""Pieces of constant weights, in any direction, against loops over steps."""

import math

import pytest

from repro.errors import UserError
from repro.schedule import Pieces


@pytest.mark.parametrize("weights", [(8, 8), (4, 8, 16), (16, 4, 9, 0)])
def test_pieces_in_any_direction_equal_a_loop_over_the_steps(weights):
    firsts = (0, 3, 4, 10)[: len(weights)]
    pieces = Pieces(firsts, weights, 12)
    each = [
        max(w for f, w in zip(firsts, weights, strict=True) if f == max(g for g in firsts if g <= t)) for t in range(12)
    ]
    assert [pieces.at(t) for t in range(12)] == each
    assert [pieces.before(t) for t in range(-1, 15)] == [sum(each[: max(t, 0)]) for t in range(-1, 15)]
    assert (pieces.sum, pieces.mean, pieces.final) == (sum(each), sum(each) / 12, each[-1])


@pytest.mark.parametrize(
    ("firsts", "weights", "steps", "key"),
    [
        ((), (), 5, "first_steps"),
        ((1,), (8,), 5, "first_steps"),
        ((0, 3), (8,), 5, "first_steps"),
        ((0, 3, 3), (8, 4, 2), 5, "first_steps"),
        ((0, 5), (8, 4), 5, "first_steps"),
        ((0, 3), (8, -1), 5, "weights"),
        ((0, 3), (8.0, math.nan), 5, "weights"),
    ],
)
def test_pieces_that_leave_a_step_without_weights_are_refused(firsts, weights, steps, key):
    with pytest.raises(UserError) as error:
        Pieces(firsts, weights, steps)
    assert error.value.key == key
