"""Intervals against the truth: 1,000 tables a law in the full set, 100 in the sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.fits.fit import fit, refit
from analysis.fits.outcome import percentiles
from analysis.fits.resample import bootstrap
from analysis.laws.registry import LAWS
from analysis.worlds import simulated_table
from tests.analysis.points import with_start

pytestmark = pytest.mark.slow

NOISE = 0.002
# Parameters that trade with each other are identified, and their intervals right, only where there is less noise.
QUIETER = {"post_training_pruning": 0.0003, "precision_post": 0.0003}
RESAMPLES = 399
FAMILY = 0.05  # chance that any of a law's checks fails when every interval is right


def covered(name: str, tables: int) -> tuple[dict[str, float], int]:
    """How often the 95% interval of each parameter, and of a prediction beyond the table, held the truth."""
    law, noise = LAWS[name], QUIETER.get(name, NOISE)
    rng = np.random.default_rng(7)
    theta, columns = simulated_table.truth(law), simulated_table.design(law)
    losses = simulated_table.losses(law, theta, columns, noise, rng, tables)
    beyond = {c: np.array([v.max() * (2.0 if c not in ("S", "rho") else 1.0)]) for c, v in columns.items()}
    wanted = float(law.predict(theta, beyond)[0])
    first = fit(law, columns, losses[0])
    # From the truth each table's descent ends in the minimum that the grid of starts finds; the first few show it.
    minima = refit(law, columns, losses, with_start(first, theta))
    for i in range(3):
        own = fit(law, columns, losses[i])
        np.testing.assert_allclose(law.predict(own.theta, columns), law.predict(minima[i], columns), rtol=1e-6)
    hits = dict.fromkeys((*law.names, "prediction"), 0)
    for one, loss in zip(minima, losses, strict=True):
        drawn = bootstrap(
            with_start(first, one),
            columns,
            loss,
            resamples=RESAMPLES,
            rng=rng,
            clusters=np.zeros(len(loss)),
            sigma=noise,
        )
        for found, parameter, value in zip(drawn.interval().values(), law.names, theta, strict=True):
            assert found is not None
            hits[parameter] += bool(found[0] <= value <= found[1])
        band = percentiles(law.predict(drawn.theta, beyond)[:, 0])
        assert band is not None
        hits["prediction"] += bool(band[0] <= wanted <= band[1])
    return {key: count / tables for key, count in hits.items()}, len(hits)


def holds(rates: dict[str, float], checks: int, tables: int) -> None:
    low, high = stats.binom.interval(1 - FAMILY / checks, tables, 0.95)
    outside = {key: rate for key, rate in rates.items() if not low / tables <= rate <= high / tables}
    assert not outside, (outside, rates, low / tables, high / tables)


@pytest.mark.parametrize("name", ["N_avg", pytest.param("over_training", marks=pytest.mark.full)])
def test_95_percent_intervals_hold_the_truth_in_95_percent_of_100_tables(name: str) -> None:
    holds(*covered(name, 100), 100)


@pytest.mark.full
@pytest.mark.parametrize("name", LAWS)
def test_95_percent_intervals_hold_the_truth_in_95_percent_of_1000_tables(name: str) -> None:
    holds(*covered(name, 1000), 1000)


@pytest.mark.parametrize("tables", [40, pytest.param(400, marks=pytest.mark.full)])
def test_checkpoints_of_runs_are_covered_where_whole_runs_are_resampled(tables: int) -> None:
    """Thirty runs with six checkpoints each, whose errors are mostly the run's own."""
    law, rng, hits = LAWS["chinchilla"], np.random.default_rng(1), {"runs": 0, "rows": 0}
    theta = np.array([1.8, 480.0, 0.35, 2100.0, 0.37])
    n = np.repeat(np.exp(rng.uniform(np.log(3e7), np.log(3e9), 30)), 6)
    d = n * np.repeat(np.exp(rng.uniform(np.log(20), np.log(200), 30)), 6) * np.tile(np.linspace(0.3, 1, 6), 30)
    columns, run = {"N": n, "D": d}, np.repeat(np.arange(30), 6)
    beyond = {"N": np.array([1e10]), "D": np.array([4e11])}
    wanted = float(law.predict(theta, beyond)[0])
    for _ in range(tables):
        loss = law.predict(theta, columns) + np.repeat(rng.normal(0, 0.008, 30), 6) + rng.normal(0, 0.002, 180)
        result = fit(law, columns, loss, start=theta)
        for kind, clusters in (("runs", run), ("rows", None)):
            drawn = bootstrap(result, columns, loss, resamples=199, rng=rng, clusters=clusters)
            band = percentiles(law.predict(drawn.theta, beyond)[:, 0])
            assert band is not None
            hits[kind] += bool(band[0] <= wanted <= band[1])
    print({kind: count / tables for kind, count in hits.items()})
    assert hits["runs"] >= 0.9 * tables
    assert hits["rows"] <= 0.8 * tables
