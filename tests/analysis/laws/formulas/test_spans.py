"""Expressions drawn at random: their values lie in their spans, and their slopes are those of differences."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.laws.formulas import calculus, formula, written
from analysis.laws.formulas.spans import Span, span
from analysis.laws.formulas.tape import Tape
from repro.errors import UserError

COLUMNS = {"N": np.array([1.5, 40.0, 900.0]), "S": np.array([0.0, 0.3, 0.95]), "X": np.array([0.01, 1.0, 30.0])}
BOUNDS = {"a": (0.1, 2.0), "b": (-2.0, 3.0), "c": (-3.0, -0.5)}


def text_of(rng: np.random.Generator, depth: int) -> str:
    if depth == 0 or rng.random() < 0.2:
        return str(rng.choice([*BOUNDS, *COLUMNS, "2", "0.5", "1.3"]))
    one, other = text_of(rng, depth - 1), text_of(rng, depth - 1)
    form = rng.choice([
        "({0}+{1})", "({0}-{1})", "{0}*{1}", "({0})/({1})", "N^({0})", "({0})^2", "(1-S)^({1})", "exp(-({0}))", "log({0})",
        "tanh({0})", "sigmoid({0})", "min({0},{1})", "max({0},{1})", "sqrt({0})", "(X+{0})^-1.5",
    ])  # fmt: skip
    return str(form).format(one, other)


@pytest.mark.parametrize("count", [400, pytest.param(20_000, marks=pytest.mark.full)])
def test_values_lie_in_their_span_and_slopes_are_those_of_differences(count: int) -> None:
    rng = np.random.default_rng(1)
    tried = 0
    for _ in range(count):
        text = text_of(rng, 3)
        try:
            tree = formula.read(written.of_data({"formula": text}), COLUMNS).tree
        except UserError:
            continue  # numbers that have no value
        p = {name: np.array([rng.uniform(*own)]) for name, own in BOUNDS.items()}
        free = calculus.free_columns(tree)
        found = span(tree, {name: Span(*own) for name, own in BOUNDS.items()}, free)
        with np.errstate(all="ignore"):
            [value] = Tape([tree]).run(p, COLUMNS)
            value = np.broadcast_to(value, 3)
            known = np.isfinite(value)
            slack = 1e-9 * (1 + np.abs(value[known]))
            assert (value[known] >= found.low - slack).all(), text
            assert (value[known] <= found.high + slack).all(), text
            if found.positive:
                assert (value[known] >= 0).all(), text
            for name in BOUNDS:
                [slope] = Tape([calculus.derivative(tree, name)]).run(p, COLUMNS)
                slope = np.broadcast_to(slope, 3)
                near = []
                for width in (1e-5, 2e-5):
                    above, below = (
                        Tape([tree]).run(p | {name: p[name] + move}, COLUMNS)[0] for move in (width, -width)
                    )
                    near.append(np.broadcast_to((above - below) / (2 * width), 3))
                error = np.abs(near[0] - near[1])  # of the differences themselves, at a kink or where they are steep
                sure = known & np.isfinite(slope + near[0]) & (error <= 1e-6 * (1 + np.abs(slope)))
                sure &= np.abs(value) < 1e6
                assert (np.abs(slope - near[0]) <= 1e-4 * (1 + np.abs(slope)))[sure].all(), (text, name)
                tried += int(np.sum(sure))
    assert tried > count
