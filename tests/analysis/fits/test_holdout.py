"""Two laws against each other on rows that neither has seen, over many tables drawn from one of them."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from analysis.fits import holdout, out_of_sample
from analysis.fits.optimal import mean_density
from analysis.laws.law import Array, Law
from analysis.laws.registry import LAWS, N_AVG, N_DENSE, N_EFFECTIVE, N_FINAL
from analysis.tables.table import Table
from analysis.worlds import simulated_table

pytestmark = pytest.mark.slow

NOISE = 0.004
CHINCHILLA = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2000.0, "beta": 0.37}  # sizes and text both weigh
SIZES, RATIOS, SPARSITIES = np.geomspace(1e7, 1e9, 4), (10.0, 20.0, 60.0), (0.0, 0.2, 0.4, 0.6, 0.8)


def runs() -> dict[str, Array]:
    """A law set of sparse and dense runs at 25/50/25."""
    rows = np.array(list(itertools.product(SIZES, RATIOS, SPARSITIES)))
    density = np.array([mean_density(s) for s in rows[:, 2]])
    return {
        "N_prunable": rows[:, 0],
        "N_avg": rows[:, 0] * density,
        "N_final": rows[:, 0] * (1 - rows[:, 2]),
        "D": rows[:, 0] * rows[:, 1] / density,
        "S": rows[:, 2],
    }


def table(law: Law, seed: int) -> Table:
    columns = runs()
    theta = simulated_table.truth(law, **CHINCHILLA)
    loss = simulated_table.losses(law, theta, columns, NOISE, np.random.default_rng(seed))[0]
    return Table(columns, "drawn", loss, np.arange(1, len(loss) + 1, dtype=np.float64), None, ())


def outcomes(truth: Law, laws: list[Law], rule: str, tables: int) -> dict[str, Counter[str]]:
    """How often the first law is better, worse, or not to be told apart from each of the others."""
    found: dict[str, Counter[str]] = {law.name: Counter() for law in laws[1:]}
    for seed in range(tables):
        drawn = table(truth, seed)
        compared = out_of_sample.judge(
            laws, drawn, holdout.split(drawn, rule), resamples=100, rng=np.random.default_rng(seed), sigma=NOISE
        )
        for judged in compared.judged[1:]:
            found[judged.law][str(judged.outcome)] += 1
    return found


COUNTS = [pytest.param(8, id="8 tables"), pytest.param(1000, id="1,000 tables", marks=pytest.mark.full)]


@pytest.mark.parametrize("tables", COUNTS)
@pytest.mark.parametrize("rule", ["largest:N_prunable", "largest:S"])
def test_the_right_law_wins(rule: str, tables: int) -> None:
    for found in outcomes(N_AVG, [N_AVG, N_FINAL, N_DENSE], rule, tables).values():
        assert found["better"] >= 0.95 * tables, found
        assert found["worse"] == 0


@pytest.mark.parametrize("tables", COUNTS)
def test_a_wrong_law_loses(tables: int) -> None:
    [found] = outcomes(N_FINAL, [N_AVG, N_FINAL], "largest:S", tables).values()
    assert found["worse"] >= 0.95 * tables, found


@pytest.mark.parametrize("tables", COUNTS)
def test_laws_that_one_schedule_cant_tell_apart_come_back_undecided(tables: int) -> None:
    """At 25/50/25, N_final^w N_dense^(1 - w) with w of about .58 is N_avg to within the noise."""
    [found] = outcomes(N_AVG, [N_AVG, N_EFFECTIVE], "largest:N_prunable", tables).values()
    assert found["can't be told apart"] >= 0.8 * tables, found


def test_without_a_bootstrap_there_is_no_verdict() -> None:
    drawn = table(N_AVG, 0)
    compared = out_of_sample.judge([N_AVG, LAWS["N_final"]], drawn, holdout.split(drawn, "largest:S"))
    assert [j.outcome for j in compared.judged] == [None, "no interval"]
    assert compared.judged[1].less is not None
    assert compared.judged[1].less > 0
