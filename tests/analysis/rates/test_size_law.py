"""The law of the best learning rate in size, tokens and density, on bowls whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.noise.spread import Spread
from analysis.rates.learning_rates import Best, BestRates
from analysis.rates.size_law import exponents, lines

SPREAD = Spread.from_squares(20 * 0.004**2, 20, 10)
SIZES = {"4k": 4e3, "9k": 9e3, "45k": 45e3}


def bowl(size: str, ratio: float, sparsity: float = 0.0, *, off: float = 0.0, at_edge: bool = False) -> Best:
    """A bowl whose bottom is that of the law 2 N^-.4 (D/N)^-.3 (1 − S)^-.25, times e^off, known within 5%."""
    lr = 2 * SIZES[size] ** -0.4 * ratio**-0.3 * (1 - sparsity) ** -0.25 * math.exp(off)
    rng = np.random.default_rng([round(ratio), round(100 * sparsity), len(size)])
    draws = math.log(lr) + 0.05 * rng.standard_normal(4000)
    start, end = (0.25, 0.75) if sparsity else (None, None)
    ends = None if at_edge else (0.9 * lr, 1.1 * lr)
    return Best(
        size, f"{ratio:g}tpp", sparsity, start, end, SIZES[size], ratio, lr, ends, None, 3.0, 5, 2, 0, at_edge, draws
    )


BOWLS = tuple(bowl(size, ratio, s) for size in SIZES for ratio in (15, 60, 200) for s in (0.0, 0.8))


def test_the_exponents_of_a_known_law_are_found_with_intervals_around_them() -> None:
    law = exponents(BestRates(BOWLS, SPREAD, None))
    truth = {"c": 2.0, "params": -0.4, "tokens": -0.3, "density": -0.25}
    assert law.values == pytest.approx(truth)
    for name, value in truth.items():
        low, high = law.intervals[name]  # type: ignore[misc]
        assert low < value < high
        assert high - low < 1.5 * abs(value)
    assert law.rate(45e3, 60) == pytest.approx(2 * 45e3**-0.4 * 60**-0.3)
    assert law.used == len(BOWLS)
    text = "\n".join(lines(BestRates(BOWLS, SPREAD, None)))
    assert "params -0.4 [" in text
    assert "it holds from N 4,000 to 45,000 and D/N 15 to 200" in text


def test_bowls_far_from_the_law_widen_the_intervals() -> None:
    rough = tuple(bowl("45k", 15, 0.8, off=0.5) if b is BOWLS[12] else b for b in BOWLS)
    near, far = (exponents(BestRates(bowls, SPREAD, None)) for bowls in (BOWLS, rough))
    width = [law.intervals["tokens"][1] - law.intervals["tokens"][0] for law in (near, far)]  # type: ignore[index]
    assert width[1] > 1.3 * width[0]


def test_an_optimum_at_the_edge_is_left_out_and_named() -> None:
    law = exponents(BestRates((*BOWLS, bowl("9k", 400, at_edge=True)), SPREAD, None))
    assert law.values["tokens"] == pytest.approx(-0.3)
    assert law.left_out == ("9k 400tpp 0%",)


@pytest.mark.parametrize(
    ("bowls", "why"),
    [
        pytest.param([("4k", 15), ("45k", 200)], "don't tell size, tokens and density apart", id="one line of both"),
        pytest.param([("9k", 15, 0.0), ("9k", 15, 0.8)], "differ in size or in tokens", id="density alone"),
    ],
)
def test_bowls_that_cannot_tell_give_no_law(bowls: list[tuple[str, float]], why: str) -> None:
    law = exponents(BestRates(tuple(bowl(*own) for own in bowls), SPREAD, None))
    assert law.values == {}
    assert law.reason is not None
    assert why in law.reason


def test_without_noise_there_is_no_law() -> None:
    law = exponents(BestRates(BOWLS, None, "no configuration was run with several seeds"))
    assert law.reason == "no configuration was run with several seeds"
