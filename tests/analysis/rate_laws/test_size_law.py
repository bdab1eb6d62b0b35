"""The law of the best learning rate in size, tokens and density, on bowls whose law is known."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from analysis.rate_laws.learning_rates import Best, BestRates
from analysis.rate_laws.size_law import Exponents, exponents, lines

SIZES = {"4k": 4e3, "9k": 9e3, "45k": 45e3}


def bowl(size: str, ratio: float, sparsity: float = 0.0, *, off: float = 0.0, at_edge: bool = False) -> Best:
    """A bowl whose bottom is that of the law 2 N^-.4 (D/N)^-.3 (1 − S)^-.25, times e^off."""
    lr = 2 * SIZES[size] ** -0.4 * ratio**-0.3 * (1 - sparsity) ** -0.25 * math.exp(off)
    start, end = (0.25, 0.75) if sparsity else (None, None)
    return Best(
        size, f"{ratio:g}tpp", sparsity, start, end, SIZES[size], ratio, lr, None, None, 3.0, 5, 1, 0, at_edge, None
    )


TRUTH = {"c": 2.0, "params": -0.4, "tokens": -0.3, "density": -0.25}
BOWLS = tuple(bowl(size, ratio, s) for size in SIZES for ratio in (15, 60, 200) for s in (0.0, 0.8))


def law_of(*bowls: Best) -> Exponents:
    return exponents(BestRates(bowls, None, "one seed each"))


def test_the_exponents_of_a_known_law_are_found() -> None:
    law = law_of(*BOWLS)
    assert law.values == pytest.approx(TRUTH)
    assert law.rate(45e3, 60) == pytest.approx(2 * 45e3**-0.4 * 60**-0.3)
    assert law.used == len(BOWLS)
    text = "\n".join(lines(BestRates(BOWLS, None, "one seed each")))
    assert "params -0.4 [" in text
    assert "it holds from N 4,000 to 45,000 and D/N 15 to 200" in text


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng, held = np.random.default_rng(0), Counter[str]()
    for _ in range(400):
        law = law_of(*(bowl(b.size, b.tokens_per_param, b.sparsity, off=rng.normal(0, 0.2)) for b in BOWLS))
        held.update(name for name, value in TRUTH.items() if law.intervals[name][0] < value < law.intervals[name][1])  # type: ignore[index]
    assert all(0.92 < held[name] / 400 < 0.98 for name in TRUTH)


def test_an_optimum_at_the_edge_is_left_out_and_named() -> None:
    law = law_of(*BOWLS, bowl("9k", 400, off=1, at_edge=True))
    assert law.values["tokens"] == pytest.approx(-0.3)
    assert law.left_out == ("9k 400tpp 0%",)


@pytest.mark.parametrize(
    ("bowls", "why"),
    [
        pytest.param(
            [("4k", 15), ("45k", 200)], "don't separate the effects of size, tokens and density", id="one line of both"
        ),
        pytest.param([("9k", 15, 0.0), ("9k", 15, 0.8)], "differ in size or in tokens", id="density alone"),
    ],
)
def test_bowls_that_cannot_tell_give_no_law(bowls: list[tuple[str, float]], why: str) -> None:
    law = law_of(*(bowl(*own) for own in bowls))
    assert law.values == {}
    assert law.reason is not None
    assert why in law.reason
