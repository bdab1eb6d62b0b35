"""The compute that one recipe needs for another's loss, on tables of known truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from analysis.recipe_laws.comparison import RecipeComparison, compare
from analysis.recipe_laws.fractions import last_root
from analysis.tables.cell_table import CellTable
from analysis.tables.table import Table
from tests.analysis.recipe_laws.ladders import BASE, FLOPS, Truth, ladder

WORTH = 2.0


def compared(rows: list[dict], reference: str | None = "base", resamples: int = 400, **more: float) -> RecipeComparison:
    columns = {name: np.array([row[name] for row in rows]) for name in ("N", "D", "C") if name in rows[0]}
    loss = np.array([row["loss"] for row in rows])
    raw = CellTable.of("drawn", ("recipe",), [[row["recipe"] for row in rows]])
    table = Table(columns, "drawn", loss, np.arange(1.0, 1.0 + len(loss)), None, (), raw=raw)
    sigma = more.get("sigma")
    return compare(table, "recipe", reference=reference, times=[10.0], sigma=sigma, resamples=resamples)


def twins(worth: float = WORTH) -> dict[str, Truth]:
    return {"base": BASE, "other": (*BASE[:3], worth)}


def covered(draw: Callable[[np.random.Generator], list[dict]], truth: float, tables: int) -> np.ndarray:
    """How often intervals hold the truth: overall, at the smallest, middle and largest budget, and beyond."""
    hits = np.zeros(5)
    for seed in range(tables):
        [own] = compared(draw(np.random.default_rng(seed))).against
        parts = [own.overall, *(own.fractions[i].fraction for i in (0, 3, 6, 7))]
        hits += [
            (part.low is None or part.low <= truth) and (part.high is None or truth <= part.high) for part in parts
        ]
    return hits / tables


def test_a_recipe_that_is_twice_as_efficient_reaches_the_loss_at_half_the_compute() -> None:
    assert covered(lambda rng: ladder(twins(), rng), 1 / WORTH, 8).min() >= 0.75


def test_equal_recipes_are_told_apart_in_few_tables() -> None:
    told = [compared(ladder(twins(1.0), np.random.default_rng(seed))).against[0].order for seed in range(12)]
    assert sum(own != "can't be told apart" for own in told) <= 3
    assert not any("flips" in own for own in told)


def test_equal_recipes_have_1_inside() -> None:
    assert covered(lambda rng: ladder(twins(1.0), rng), 1.0, 8).min() >= 0.75


@pytest.mark.full
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("misfit", [0.0, 0.02])
@pytest.mark.parametrize("worth", [1.0, WORTH])
def test_intervals_hold_the_truth_in_95_percent_of_400_tables(seeds: int, misfit: float, worth: float) -> None:
    def draw(rng: np.random.Generator) -> list[dict]:
        return ladder(twins(worth), rng, seeds=seeds, misfit=misfit)

    rates = covered(draw, 1 / worth, 400)
    assert ((rates > 0.92) & (rates < 0.99)).all(), rates


def test_what_all_recipes_have_in_common_widens_little() -> None:
    """By itself, 7 times the noise would widen the interval as much."""
    plain, off = (
        compared(ladder(twins(), np.random.default_rng(1), misfit=misfit)).against[0].fractions[3].fraction
        for misfit in (0.0, 0.03)
    )
    assert None not in (plain.low, plain.high, off.low, off.high)
    assert off.high - off.low < 4 * (plain.high - plain.low)  # type: ignore[operator]


def test_an_order_that_flips_with_scale_is_said_to_and_where() -> None:
    steep: Truth = (1.7, 1.35, 0.22, 1.0)
    found = compared(ladder({"base": BASE, "steep": steep}, np.random.default_rng(0)))
    [own] = found.against
    assert own.order == "the order of losses flips within the budgets"
    assert own.fractions[0].fraction.low > 1  # type: ignore[operator]
    assert own.fractions[6].fraction.high < 1  # type: ignore[operator]
    assert own.change.high < 1  # type: ignore[operator]
    fine = np.geomspace(FLOPS[0], FLOPS[-1], 2000)
    gap = [t[0] + t[1] * (fine / 1e18) ** -t[2] for t in (BASE, steep)]
    true = fine[np.argmin(np.abs(gap[0] - gap[1]))]
    assert own.crossing is not None
    assert own.crossing.low < true < own.crossing.high
    assert found.rankings[0].switched == 1
    assert found.rankings[0].accuracy.high == 0


def test_an_extrapolation_is_said_in_words() -> None:
    [own] = compared(ladder(twins(), np.random.default_rng(0))).against
    last = own.fractions[-1]
    assert last.at["C"] == pytest.approx(10 * FLOPS[-1])
    assert "extrapolated 10 times beyond the largest budget" in str(last.extrapolated)
    assert "what other needs is extrapolated 5" in str(last.extrapolated)
    assert own.fractions[3].extrapolated is None


def test_a_recipe_that_never_gets_there_has_no_upper_end() -> None:
    worse: Truth = (2.3, 1.2, 0.2, 1.0)
    [own] = compared(ladder({"base": BASE, "worse": worse}, np.random.default_rng(0))).against
    last = own.fractions[6]
    assert (last.fraction.value, last.fraction.high) == (None, None)
    assert last.never > 0.9
    assert own.fractions[0].fraction.low > 1  # type: ignore[operator]


def test_the_reference_is_the_highest_loss_at_the_largest_budget_where_none_is_named() -> None:
    assert compared(ladder(twins(), np.random.default_rng(0)), reference=None).reference == "base"


def test_sizes_and_tokens_that_vary_apart_have_a_law_of_both() -> None:
    rng, rows = np.random.default_rng(0), []
    for name, worth in (("base", 1.0), ("other", 1.5)):
        for n in np.geomspace(1e7, 1e9, 4):
            for ratio in (5, 20, 80):
                size, tokens = n * np.sqrt(worth), n * ratio * np.sqrt(worth)
                level = 1.8 + 400 / size**0.35 + 2000 / tokens**0.37
                rows += [
                    {"recipe": name, "N": n, "D": n * ratio, "loss": level + 0.002 * rng.standard_normal()}
                    for _ in range(2)
                ]
    found = compared(rows)
    assert found.curves.law.name == "chinchilla"
    [own] = found.against
    assert own.overall.low < 1 / 1.5 < own.overall.high  # type: ignore[operator]
    assert len(own.fractions) == 13


def test_a_root_is_the_last_one_and_none_where_the_sign_stays() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0])
    found = last_root(x, np.array([[1.0, -1.0, 1.0, 3.0], [1.0, 2.0, 1.0, 2.0]]))
    assert found[0] == pytest.approx(1.5)
    assert np.isnan(found[1])
