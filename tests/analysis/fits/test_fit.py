from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from analysis.fits.fit import fit, obstacle, refit
from analysis.fits.objective import Objective
from analysis.laws.law import Law
from analysis.laws.registry import COUNTS, N_AVG, N_EFFECTIVE
from analysis.tables.data import Tables
from analysis.worlds.simulated_sweep import Truth
from repro.errors import UserError

THETA = {"E": 1.5, "A": 40.0, "alpha": 0.35, "B": 250.0, "beta": 0.4, "w": 0.6}


def truth_of(law: Law) -> np.ndarray:
    return np.array([THETA[p.name] for p in law.parameters])


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    dense = np.exp(rng.uniform(np.log(5e3), np.log(2e5), 40))
    density = rng.choice([1.0, 0.8, 0.6, 0.4, 0.2], 40)
    return {
        "N_prunable": dense,
        "N_final": dense * density,
        "N_avg": dense * density**0.6,
        "D": dense * rng.uniform(5, 40, 40),
    }


@pytest.mark.parametrize("law", COUNTS, ids=[law.name for law in COUNTS])
def test_every_start_finds_the_parameters_that_made_the_losses(law: Law, columns: dict[str, np.ndarray]) -> None:
    result = fit(law, columns, law.predict(truth_of(law), columns))
    np.testing.assert_allclose(result.theta, truth_of(law), rtol=1e-4)
    assert (result.status, result.starts_agreeing) == ("converged", result.starts)


@pytest.mark.parametrize("law", COUNTS, ids=[law.name for law in COUNTS])
def test_no_other_solver_improves_on_a_noisy_fit(law: Law, columns: dict[str, np.ndarray]) -> None:
    loss = law.predict(truth_of(law), columns) * np.exp(np.random.default_rng(0).normal(0, 0.01, 40))
    result = fit(law, columns, loss)

    def objective(relative: np.ndarray) -> float:
        return float(
            Objective().rows(np.log(law.predict(relative * result.theta, columns)) - np.log(loss)).sum()
            / result.objective
        )

    rival = optimize.minimize(
        objective,
        np.ones(len(result.theta)),
        method="Nelder-Mead",
        options={"maxiter": 2000, "xatol": 1e-9, "fatol": 1e-13},
    )
    assert rival.fun > 1 - 1e-9
    assert result.starts_agreeing > result.starts / 2


def test_an_irreducible_loss_at_its_bound_is_reported_as_not_identified(columns: dict[str, np.ndarray]) -> None:
    # Losses that fall faster at large sizes than any power law with a floor.
    loss = 6.0 - 0.4 * np.log(columns["N_avg"] / 5e3) - 0.1 * np.log(columns["D"] / 2.5e4)
    result = fit(N_AVG, columns, loss)
    assert result.parameters["E"] == 0
    assert result.status == "bound_hit"
    assert "E" in result.bounds_hit


def test_a_floor_under_pure_noise_lies_within_the_noise(columns: dict[str, np.ndarray]) -> None:
    loss = np.random.default_rng(1).normal(3.0, 0.01, 40)
    assert 0 <= fit(N_AVG, columns, loss).parameters["E"] < np.median(loss) + 0.01


@pytest.mark.parametrize("share", [0.9, 0.5, 1e-3])
def test_a_loss_under_the_floor_of_all_others_moves_no_parameter(share: float, columns: dict[str, np.ndarray]) -> None:
    wide = {name: values * 1e6 for name, values in columns.items()}  # where little but the floor is left of the loss
    loss = N_AVG.predict(truth_of(N_AVG), wide)
    loss[7] = share * THETA["E"]
    result = fit(N_AVG, wide, loss)
    assert result.parameters["E"] == pytest.approx(THETA["E"], abs=1e-3)
    assert (result.status, result.bounds_hit) == ("converged", ())


def test_resamples_equal_to_the_data_end_where_the_fit_did(columns: dict[str, np.ndarray]) -> None:
    loss = N_AVG.predict(truth_of(N_AVG), columns) * np.exp(np.random.default_rng(0).normal(0, 0.01, 40))
    result = fit(N_AVG, columns, loss)
    np.testing.assert_allclose(
        refit(N_AVG, columns, np.repeat(loss[None], 3, axis=0), result), [result.theta] * 3, rtol=1e-6
    )


def test_a_warm_resample_ends_where_many_starts_would(columns: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(5)
    loss = N_AVG.predict(truth_of(N_AVG), columns)
    noisy = loss * np.exp(rng.normal(0, 0.01, (5, 40)))
    warm = refit(N_AVG, columns, noisy, fit(N_AVG, columns, loss))
    for theta, sample in zip(warm, noisy, strict=True):
        cold = fit(N_AVG, columns, sample)
        reached = Objective().rows(np.log(N_AVG.predict(theta, columns)) - np.log(sample)).sum()
        assert reached <= cold.objective * (1 + 1e-6)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda c, y: ({n: v[:4] for n, v in c.items()}, y[:4]), "4 runs for 5 parameters"),
        (lambda c, y: (c | {"N_avg": np.full(40, 1e4)}, y), "N_avg doesn't vary"),
        (lambda c, y: (c | {"D": np.where(np.arange(40) < 9, 1e5, 2e5)}, y), "D takes fewer than three values"),
        (lambda c, y: (c | {"D": np.append(c["D"][:-1], np.inf)}, y), "D holds a value that is not a finite number"),
        (lambda c, y: (c, np.append(y[:-1], np.nan)), "a loss that is not a positive number"),
        (lambda c, y: (c, np.append(y[:-1], -1.0)), "a loss that is not a positive number"),
    ],
)
def test_rows_that_cant_identify_a_law_are_refused_with_the_reason(
    spoil, reason: str, columns: dict[str, np.ndarray]
) -> None:
    spoiled, loss = spoil(columns, N_AVG.predict(truth_of(N_AVG), columns))
    assert obstacle(N_AVG, spoiled, loss) == reason
    with pytest.raises(UserError, match=reason):
        fit(N_AVG, spoiled, loss)


@pytest.mark.slow
def test_a_simulated_law_set_gives_its_law_back(swept) -> None:
    tables: Tables = swept(truth=Truth(sigma=0.0))
    law_set = tables.law_set
    assert len(law_set) == 30
    np.testing.assert_allclose(fit(N_AVG, law_set.columns, law_set["loss"]).theta, Truth().theta, rtol=1e-4)
    assert fit(N_EFFECTIVE, law_set.columns, law_set["loss"]).objective > 1e-9
