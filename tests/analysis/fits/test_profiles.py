"""Profile intervals against the truth, for every objective: 1,000 tables in the full set, 60 in the sample.

A profile interval holds the truth exactly where the objective, minimised over the other parameters at the true value,
has risen by no more than `allowed`. So many tables can be counted in one batch; a few are held against `profile`.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.fits.fit import fit
from analysis.fits.objective import Objective, scaled
from analysis.fits.problem import Problem
from analysis.fits.profiles import SMOOTH, allowed, profile
from analysis.laws.law import Array
from analysis.laws.registry import CHINCHILLA
from tests.analysis.epoch import EPOCH, TRUTH, points
from tests.analysis.points import with_start

OBJECTIVES = {
    "huber_log 1e-2": Objective("huber_log", 1e-2),
    "huber_log 1e-3": Objective("huber_log", 1e-3),
    "huber_log 1e-4": Objective("huber_log", 1e-4),
    "lad": Objective("lad"),
    "wls": Objective("wls"),
    "huber 1e-2": Objective("huber", 1e-2),
    "huber 1e-3": Objective("huber", 1e-3),
}
RESIDUALS = ("normal", "t3", "resampled")
SPREAD = 0.0047  # of log residuals: near zero as dense as those of the fit to Epoch's points
FAMILY = 0.05  # chance that any check of the full set fails when every interval is right
WEIGHED = ("share", "precision")  # weights that have nothing to do with the noise, or that are one over its variance
CHECKS = len(CHINCHILLA.names) * (len(OBJECTIVES) * len(RESIDUALS) + 3 * len(WEIGHED))


def drawn(objective: Objective, residuals: str, tables: int) -> tuple[dict[str, Array], Array, Array]:
    """Columns, the true parameters and losses (tables, n)."""
    columns, measured = points()
    rng, truth, count = np.random.default_rng(11), TRUTH, len(columns["N"])
    if residuals == "normal":
        noise = SPREAD * rng.standard_normal((tables, count))
    elif residuals == "t3":
        noise = 0.9 * SPREAD * rng.standard_t(3, (tables, count))
    elif measured is None:  # skewed, with a few far out, as Epoch's are
        noise = SPREAD * (rng.gamma(4, 0.5, (tables, count)) - 1.84)
    else:
        result = fit(CHINCHILLA, columns, measured, objective)
        truth = result.theta
        noise = rng.choice(np.log(measured) - np.log(result.predict(columns)), (tables, count))
    return columns, truth, CHINCHILLA.predict(truth, columns) * np.exp(noise)


def weighed(kind: str, tables: int) -> tuple[dict[str, Array], Array, Array, Array]:
    """What `drawn` gives, and weights (n,) between which lie factors of ten."""
    columns, _ = points()
    rng, count = np.random.default_rng(12), len(columns["N"])
    weights = scaled(np.exp(rng.normal(0, 1, count)))
    noise = SPREAD * rng.standard_normal((tables, count)) / (np.sqrt(weights) if kind == "precision" else 1)
    return columns, TRUTH, CHINCHILLA.predict(TRUTH, columns) * np.exp(noise), weights


def covered(objective: Objective, residuals: str, tables: int) -> Array:
    """In how many tables the interval of each parameter held the truth, (P,)."""
    weights: Array | None = None
    if residuals in WEIGHED:
        columns, truth, losses, weights = weighed(residuals, tables)
    else:
        columns, truth, losses = drawn(objective, residuals, tables)
    row = None if weights is None else weights[None]
    first = fit(CHINCHILLA, columns, losses[0], objective, weights=weights)
    smooth = SMOOTH if objective.kind == "lad" else objective
    start = np.repeat(truth[None], tables, axis=0)
    minima, base, _ = Problem(CHINCHILLA, columns, losses, smooth, row).descend(start)
    held = [
        Problem(CHINCHILLA, columns, losses, smooth, row, one[None]).descend(start)[1] for one in np.eye(5, dtype=bool)
    ]
    rises = np.stack(held, axis=1) - base[:, None]
    most = np.stack(
        [
            _allowed(Problem(CHINCHILLA, columns, loss[None], smooth, row), own)
            for own, loss in zip(minima, losses, strict=True)
        ]
    )
    inside = rises <= most
    for i in range(2):  # what is counted is what `profile` says
        found = profile(with_start(first, minima[i]), columns, losses[i], weights=weights).intervals
        for bounds, value, within in zip(found.values(), truth, inside[i], strict=True):
            assert bounds is not None
            assert (bounds[0] <= value <= bounds[1]) == within
    return inside.sum(axis=0)


def _allowed(problem: Problem, theta: Array) -> Array:
    most = allowed(problem, problem.descend(theta[None])[0][0])
    assert not isinstance(most, str), most
    return most


def holds(hits: Array, tables: int) -> None:
    low, high = stats.binom.interval(1 - FAMILY / CHECKS, tables, 0.95)
    assert np.all((hits >= low) & (hits <= high)), (hits / tables, low / tables, high / tables)


@pytest.mark.parametrize("name", ["huber_log 1e-3", pytest.param("wls", marks=pytest.mark.full)])
def test_95_percent_profiles_hold_the_truth_in_95_percent_of_60_tables(name: str) -> None:
    holds(covered(OBJECTIVES[name], "resampled", 60), 60)


@pytest.mark.full
@pytest.mark.parametrize("residuals", RESIDUALS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_95_percent_profiles_hold_the_truth_in_95_percent_of_1000_tables(name: str, residuals: str) -> None:
    holds(covered(OBJECTIVES[name], residuals, 1000), 1000)


@pytest.mark.full
@pytest.mark.parametrize("kind", WEIGHED)
@pytest.mark.parametrize("name", ["huber_log 1e-3", "lad", "wls"])
def test_they_hold_it_where_rows_weigh_more_and_less(name: str, kind: str) -> None:
    holds(covered(OBJECTIVES[name], kind, 1000), 1000)


def test_they_hold_it_in_60_tables_whose_rows_weigh_more_and_less() -> None:
    holds(covered(OBJECTIVES["huber_log 1e-3"], "share", 60), 60)


@pytest.mark.skipif(not EPOCH.is_file(), reason="needs ../shared/data beside the project")
@pytest.mark.parametrize(
    "name", ["huber_log 1e-2", *(pytest.param(name, marks=pytest.mark.full) for name in ("lad", "huber_log 1e-4"))]
)
def test_a_profile_on_epochs_points_is_about_as_wide_as_the_bootstrap(name: str) -> None:
    """The published 80% rests on it: E [1.769, 1.870], alpha [.315, .374], beta [.332, .417] by 4,000 resamples."""
    columns, measured = points()
    assert measured is not None
    found = profile(fit(CHINCHILLA, columns, measured, OBJECTIVES[name]), columns, measured).intervals
    for parameter, width in (("E", 0.101), ("alpha", 0.059), ("beta", 0.085)):
        interval = found[parameter]
        assert interval is not None, parameter
        assert interval[1] - interval[0] == pytest.approx(width, rel=0.25), parameter


def test_without_noise_or_with_too_few_rows_there_is_a_reason_and_no_interval() -> None:
    columns, _ = points()
    exact = CHINCHILLA.predict(TRUTH, columns)
    found = profile(fit(CHINCHILLA, columns, exact), columns, exact)
    assert set(found.intervals.values()) == {None}
    assert "passes through every row" in str(found.reason)
    few = {name: values[::40][:6] for name, values in columns.items()}
    loss = CHINCHILLA.predict(TRUTH, few) * np.exp(np.random.default_rng(0).normal(0, 0.01, 6))
    found = profile(fit(CHINCHILLA, few, loss), few, loss)
    assert set(found.intervals.values()) == {None}
    assert "1 rows more" in str(found.reason)
