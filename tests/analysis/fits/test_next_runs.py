"""Which runs to train next: against all choices there are, against the linearised law, and against worlds that are drawn."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from analysis.fits import next_runs, priced_runs
from analysis.fits.fit import FitResult, fit, refit
from analysis.fits.next_runs import Prospect
from analysis.fits.objective import Objective
from analysis.fits.priced_runs import PricedRuns
from analysis.laws.law import Array, Columns
from analysis.laws.registry import CHINCHILLA
from analysis.worlds import simulated_table
from repro.errors import UserError
from tests.analysis.points import with_start

TRUTH = np.array([1.8, 480.0, 0.35, 2100.0, 0.37])
SIZES = np.repeat(np.geomspace(3e7, 3e8, 4), 3)
ROWS: Columns = {"N": SIZES, "D": SIZES * np.tile([10.0, 20.0, 80.0], 4)}
TARGET: Columns = {"N": np.array([5e9]), "D": np.array([1e11])}
AT = {name: float(values[0]) for name, values in TARGET.items()}
SPENT = float((6 * ROWS["N"] * ROWS["D"]).sum())


def fitted(noise: float, seed: int = 0) -> tuple[FitResult, Array]:
    loss = simulated_table.losses(CHINCHILLA, TRUTH, ROWS, noise, np.random.default_rng(seed))[0]
    return fit(CHINCHILLA, ROWS, loss, Objective("wls"), start=TRUTH), loss


def at_rows() -> tuple[FitResult, Columns, Array]:
    """A fit, and what it was fitted on."""
    result, loss = fitted(0.003)
    return result, ROWS, loss


def prospect(runs: PricedRuns, noise: float = 0.003, resamples: int = 400) -> Prospect:
    result, loss = fitted(noise)
    theta = next_runs.draws(result, ROWS, loss, sigma=noise, resamples=resamples, rng=np.random.default_rng(0))
    return Prospect(CHINCHILLA, theta, runs, TARGET, noise)


def some(count: int) -> PricedRuns:
    """Runs here and there of a grid."""
    runs = priced_runs.grid(*at_rows(), "N", AT, SPENT, 2e9)
    return runs.where(np.isin(np.arange(len(runs)), np.linspace(0, len(runs) - 1, count).astype(int)))


@pytest.mark.parametrize(("count", "part"), [(1, 1.0), (2, 0.5), (3, 0.2), (3, 1.0), (3, 3.0)])
def test_no_choice_among_all_leaves_less(count: int, part: float) -> None:
    runs = some(18)
    found, budget = prospect(runs), SPENT * part
    best = found.best(count, budget)
    paid = [
        chosen
        for chosen in itertools.combinations_with_replacement(range(18), count)
        if runs.price[list(chosen)].sum() <= budget
    ]
    assert len(paid) > 10
    assert best.share == pytest.approx(min(found.share(chosen) for chosen in paid), rel=1e-9)
    assert best.price == pytest.approx(runs.price[list(best.runs)].sum())
    assert best.price <= budget * (1 + 1e-6)


def test_where_noise_is_small_it_is_the_information_of_the_linearised_law() -> None:
    noise, runs = 1e-5, some(30)
    found = prospect(runs, noise, 4000)
    slopes, wanted = CHINCHILLA.gradient(TRUTH, ROWS), CHINCHILLA.gradient(TRUTH, TARGET)[0]
    scale = np.linalg.norm(slopes, axis=0)

    def width(*chosen: int) -> float:
        new = CHINCHILLA.gradient(TRUTH, runs.columns)[list(chosen)]
        whole = np.vstack([slopes, new]) / scale / noise
        return float(np.sqrt(wanted / scale @ np.linalg.solve(whole.T @ whole, wanted / scale)))

    for chosen in ((5,), (29,), (3, 28), (27, 27, 10)):
        assert found.share(chosen) == pytest.approx(width(*chosen) / width(), rel=0.05)
    assert found.interval[1] - found.interval[0] == pytest.approx(2 * 1.96 * width(), rel=0.08)
    np.testing.assert_allclose(found.singles(), [found.share([i]) for i in range(30)], rtol=1e-9)


def test_dearer_runs_in_the_list_by_price_leave_less() -> None:
    runs = some(60)
    found = prospect(runs)
    listed = found.by_price()
    assert len(listed) > 3
    for one, other in itertools.pairwise(listed):
        assert one.price < other.price
        assert one.share > other.share
    assert listed[-1].share == pytest.approx(found.singles().min())


def test_a_grid_keeps_to_its_limits() -> None:
    runs = priced_runs.grid(*at_rows(), "N", AT | {"D": AT["N"] * 5}, SPENT, 1e9)
    ratio = runs.columns["D"] / runs.columns["N"]
    assert len(runs) > 100
    assert runs.price == pytest.approx(6 * runs.columns["N"] * runs.columns["D"])
    assert runs.price.max() <= SPENT * (1 + 1e-6)
    assert (runs.columns["N"].min(), runs.columns["N"].max()) == pytest.approx((3e7, 1e9))
    assert (ratio.min(), ratio.max()) == pytest.approx((5, 80))
    result, _, loss = at_rows()
    assert result.predict(runs.columns).max() <= loss.max()
    assert runs.columns["D"].min() > 3e7 * 5  # where the loss would be over all of the rows'


def test_what_cant_be_chosen_is_refused() -> None:
    with pytest.raises(UserError, match="pays for no run"):
        priced_runs.grid(*at_rows(), "N", AT, 1e10)
    with pytest.raises(UserError, match="no run is so small"):
        priced_runs.grid(*at_rows(), "N", AT, SPENT, 1e6)
    runs = some(10)
    with pytest.raises(UserError, match="fewer runs"):
        prospect(runs).best(3, float(runs.price.min()) * 2.5)
    many = PricedRuns({name: np.full(1001, values[0]) for name, values in ROWS.items()}, np.ones(1001))
    with pytest.raises(UserError, match="too many runs"):
        prospect(many)
    result, _ = fitted(0.003)
    with pytest.raises(UserError, match="the noise of a run"):
        next_runs.noise_of(result, ROWS, result.predict(ROWS))
    with pytest.raises(UserError, match="no interval"):
        Prospect(CHINCHILLA, np.full((400, 5), np.nan), runs, TARGET, 0.003)


def test_noise_is_told_from_residuals() -> None:
    fits = [fitted(0.004, seed) for seed in range(40)]
    found = [next_runs.noise_of(result, ROWS, loss) for result, loss in fits]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(0.004, rel=0.1)


# ---------------------------------------------------------------- brute force


@dataclass(frozen=True)
class DrawnWorld:
    """A law, rows measured under it, a target beyond them, a budget, and a largest size."""

    theta: Array
    columns: Columns
    sigma: float
    target: Columns
    budget: float
    largest: float

    @classmethod
    def of(cls, rng: np.random.Generator) -> DrawnWorld:
        """Of any exponents, with 9 to 25 runs of 4 or 5 sizes; the target is 10 or 30 times the largest of them."""
        alpha, beta = rng.uniform(0.25, 0.5, 2)
        theta = np.array([
            rng.uniform(1.4, 2.0), rng.uniform(0.5, 1.5) * 3e7**alpha, alpha, rng.uniform(0.5, 1.5) * 6e8**beta, beta,
        ])  # fmt: skip
        sizes = np.geomspace(2e7, rng.choice([2e8, 4e8]), rng.integers(4, 6))
        rows = np.array(list(itertools.product(sizes, (5.0, 10.0, 20.0, 40.0, 80.0)[: rng.integers(3, 6)])))
        rows = rows[rng.permutation(len(rows))[: max(9, int(0.8 * len(rows)))]]
        columns = {"N": rows[:, 0], "D": rows[:, 0] * rows[:, 1]}
        n = columns["N"].max() * rng.choice([10.0, 30.0])
        budget = float((6 * columns["N"] * columns["D"]).sum() * rng.choice([0.5, 1.0, 2.0]))
        sigma = float(np.exp(rng.uniform(np.log(0.002), np.log(0.015))))
        return cls(theta, columns, sigma, {"N": np.array([n]), "D": np.array([20 * n])}, budget, 4 * columns["N"].max())

    def width(self, start: FitResult, new: Columns, tables: int, seed: int) -> float:
        """Of the middle 95% of predictions, each of a fit to losses of old and new runs that are drawn anew."""
        both = {name: np.concatenate([values, new[name]]) for name, values in self.columns.items()}
        losses = simulated_table.losses(CHINCHILLA, self.theta, both, self.sigma, np.random.default_rng(seed), tables)
        theta = refit(CHINCHILLA, both, losses, with_start(start, self.theta))
        return float(np.diff(np.quantile(CHINCHILLA.predict(theta, self.target)[:, 0], [0.025, 0.975]))[0])


def against_random(seed: int, tables: int) -> tuple[float, float, float]:
    """What the three runs that are proposed leave of the interval, three random ones of equal price, and what was announced."""
    rng = np.random.default_rng(seed)
    world = DrawnWorld.of(rng)
    loss = simulated_table.losses(CHINCHILLA, world.theta, world.columns, world.sigma, rng)[0]
    result = fit(CHINCHILLA, world.columns, loss, start=world.theta)
    sigma = next_runs.noise_of(result, world.columns, loss)
    theta = next_runs.draws(result, world.columns, loss, sigma=sigma, resamples=400, rng=rng)
    at = {name: float(values[0]) for name, values in world.target.items()}
    runs = priced_runs.grid(result, world.columns, loss, "N", at, world.budget, world.largest)
    best = Prospect(CHINCHILLA, theta, runs, world.target, sigma).best(3, world.budget)
    three = rng.integers(0, len(runs), (1_000_000, 3))
    price = runs.price[three].sum(axis=1)
    random = three[np.flatnonzero((price >= best.price) & (price <= 1.05 * best.price))[0]]
    before, ours, theirs = (
        world.width(result, {name: values[list(chosen)] for name, values in runs.columns.items()}, tables, seed)
        for chosen in ((), best.runs, tuple(random))
    )
    return ours / before, theirs / before, best.share


@pytest.mark.parametrize("worlds", [4, pytest.param(50, marks=pytest.mark.full)])
def test_the_runs_that_are_proposed_narrow_the_prediction_more_than_random_ones_of_equal_price(worlds: int) -> None:
    ours, theirs, announced = np.array([against_random(seed, 100 if worlds < 50 else 500) for seed in range(worlds)]).T
    print(
        f"narrower in {np.mean(ours < theirs):.0%}; left {np.exp(np.log(ours).mean()):.2f} of the interval, of random "
        f"ones {np.exp(np.log(theirs).mean()):.2f}; announced over real {np.quantile(announced / ours, [0.1, 0.5, 0.9])}"
    )
    assert np.mean(ours < theirs) >= (0.8 if worlds >= 50 else 0.75)
    assert np.median(announced / ours) == pytest.approx(1, abs=0.15)
