"""A best rate that isn't known enters no multiple of the dense run's rate, whichever of the two it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.noise.spread import Spread
from analysis.rate_laws.learning_rates import Best, BestRates
from analysis.rate_laws.rate_law import lines, multiples, name, slope

SPREAD = Spread.from_squares(20 * 0.004**2, 20, 10)


def bowl(size: str, sparsity: float, lr: float, *, at_edge: bool = False, beyond: float = 0.0) -> Best:
    """A bowl with its bottom at `lr`, known within 5%; a share `beyond` of its resamples has it past the rates tried."""
    draws = math.log(lr) + 0.05 * np.random.default_rng(round(100 * sparsity)).standard_normal(4000)
    draws[: round(beyond * len(draws))] = math.inf
    start, end = (0.25, 0.75) if sparsity else (None, None)
    ends = None if at_edge or beyond else (0.9 * lr, 1.1 * lr)
    return Best(size, "20t", sparsity, start, end, 1e4, 20.0, lr, ends, None, 3.0, 7, 3, 0, at_edge, draws)


def blind(*best: Best) -> BestRates:
    """The same bowls where the seeds' noise isn't known."""
    bare = (Best(**{**vars(own), "draws": None, "interval": None, "no_interval": "one seed"}) for own in best)
    return BestRates(tuple(bare), None, "no configuration was run with several seeds")


DENSE, SPARSE = bowl("9k", 0.0, 0.02), bowl("9k", 0.8, 0.03)


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param((bowl("9k", 0.0, 0.02, at_edge=True), SPARSE), id="the dense optimum at the edge"),
        pytest.param((DENSE, bowl("9k", 0.8, 0.03, at_edge=True)), id="the sparse optimum at the edge"),
        pytest.param((DENSE, bowl("9k", 0.8, 0.03, beyond=0.1)), id="the sparse optimum beyond the edge by noise"),
        pytest.param((SPARSE,), id="no dense run"),
    ],
)
def test_an_optimum_at_the_edge_of_the_rates_gives_no_multiple(unknown: tuple[Best, ...]) -> None:
    assert list(multiples(BestRates(unknown, SPREAD, None))) == []
    other = bowl("30k", 0.0, 0.01), bowl("30k", 0.8, 0.02)
    (found,) = multiples(BestRates((*unknown, *other), SPREAD, None))
    assert (found.sparsity, found.bowls) == (0.8, 1)
    assert found.multiple == pytest.approx(2)
    assert found.interval is not None
    assert found.interval[0] < 2 < found.interval[1]


def test_without_noise_an_optimum_at_the_edge_is_left_out_all_the_same() -> None:
    edge = bowl("9k", 0.8, 0.03, at_edge=True)
    assert list(multiples(blind(DENSE, edge))) == []
    (found,) = multiples(blind(DENSE, SPARSE))
    assert found.multiple == pytest.approx(1.5)
    assert found.interval is None


def test_an_optimum_at_the_edge_is_flagged_in_print_and_named_as_left_out() -> None:
    edge = bowl("9k", 0.8, 0.03, at_edge=True)
    rates = BestRates((DENSE, bowl("9k", 0.4, 0.024), edge), SPREAD, None)
    said = list(lines(rates))
    assert [text for text in said if "the best may lie beyond" in text] == [
        text for text in said if text.startswith(name(edge))
    ]
    assert not any("lr* at 80%" in text for text in said)
    assert slope(rates).left_out == (name(edge),)
    assert said[-1].endswith(name(edge))
