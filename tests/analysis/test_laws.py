from __future__ import annotations

import numpy as np
import pytest

from analysis.laws import LAWS, N_DENSE, N_EFFECTIVE, N_FINAL, Law

COLUMNS = {
    "N_avg": np.array([2e4, 3.1e5, 4e6]),
    "N_final": np.array([1e4, 2e5, 1e6]),
    "N_prunable": np.array([3e4, 4e5, 5e6]),
    "D": np.array([2e5, 8e6, 3e8]),
}
THETA = {"E": 1.7, "A": 350.0, "alpha": 0.34, "B": 900.0, "beta": 0.29, "w": 0.4}


def theta_of(law: Law) -> np.ndarray:
    return np.array([THETA[p.name] for p in law.parameters])


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_gradient_equals_central_differences(law: Law) -> None:
    theta = theta_of(law)
    gradient = law.gradient(theta, COLUMNS)
    for i, value in enumerate(theta):
        width = 1e-5 * value
        above, below = theta.copy(), theta.copy()
        above[i] += width
        below[i] -= width
        numeric = (law.predict(above, COLUMNS) - law.predict(below, COLUMNS)) / (2 * width)
        np.testing.assert_allclose(gradient[:, i], numeric, rtol=1e-7)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_batch_of_parameters_predicts_what_each_predicts_alone(law: Law) -> None:
    batch = theta_of(law) * np.array([[1.0], [1.1], [0.9]])
    np.testing.assert_array_equal(law.predict(batch, COLUMNS), [law.predict(theta, COLUMNS) for theta in batch])
    np.testing.assert_array_equal(law.gradient(batch, COLUMNS), [law.gradient(theta, COLUMNS) for theta in batch])


@pytest.mark.parametrize(("share", "same_as"), [(0.0, N_DENSE), (1.0, N_FINAL)])
def test_the_effective_count_runs_from_the_dense_to_the_final_one(share: float, same_as: Law) -> None:
    theta = theta_of(same_as)
    np.testing.assert_allclose(
        N_EFFECTIVE.predict(np.append(theta, share), COLUMNS), same_as.predict(theta, COLUMNS), rtol=1e-13
    )


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_law_names_its_source_and_bounds_that_hold_its_starts(law: Law) -> None:
    assert law.source
    assert law.formula.startswith("E + ")
    for parameter in law.parameters:
        assert all(parameter.low <= start <= (parameter.high or np.inf) for start in parameter.starts)
