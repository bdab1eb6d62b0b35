from __future__ import annotations

import numpy as np
import pytest

from analysis.laws.law import Law
from analysis.laws.registry import LAWS, N_DENSE, N_EFFECTIVE, N_FINAL, P2, P2_NESTED

COLUMNS = {
    "N_avg": np.array([2e4, 3.1e5, 4e6]),
    "N_final": np.array([1e4, 2e5, 1e6]),
    "N_prunable": np.array([3e4, 4e5, 5e6]),
    "N": np.array([3e4, 4e5, 5e6]),
    "N0": np.array([3e4, 4e5, 5e6]),
    "N1": np.array([2e4, 3e5, 3e6]),
    "D": np.array([2e5, 8e6, 3e8]),
    "S": np.array([0.0, 0.5, 0.875]),
    "P_w": np.array([3.0, 8.0, 16.0]),
    "P_a": np.array([4.0, 6.0, 12.0]),
    "P_kv": np.array([3.0, 5.0, 8.0]),
    "P_post": np.array([3.0, 4.0, 6.0]),
    "L0": np.array([4.0, 3.3, 2.9]),
    "rho": np.array([0.1, 0.3, 0.5]),
}
THETA = {
    "E": 1.7, "A": 350.0, "alpha": 0.34, "B": 900.0, "beta": 0.29, "w": 0.4,
    "c": 1.1, "a_S": 8.0, "a_D": 40.0, "c_S": 20.0, "b_S": 0.7, "b_N": 0.25, "b_D": 0.3, "a": 141.0, "b": 190.0, "eta": 0.12,
    "gamma_w": 2.7, "gamma_a": 2.2, "gamma_kv": 1.0, "C_T": 0.06, "gamma_D": 0.5, "gamma_N": 0.34, "gamma": 0.6,
    "N_C": 30.0, "D_C": 40.0, "delta": 0.1,
}  # fmt: skip


def theta_of(law: Law) -> np.ndarray:
    return np.array([THETA[p.name] for p in law.parameters])


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_a_gradient_equals_central_differences(law: Law) -> None:
    theta = theta_of(law)
    gradient = law.gradient(theta, COLUMNS)
    for i, value in enumerate(theta):
        width = 1e-4 * value
        above, below = theta.copy(), theta.copy()
        above[i] += width
        below[i] -= width
        near = (law.predict(above, COLUMNS) - law.predict(below, COLUMNS)) / (2 * width)
        above[i], below[i] = value + 2 * width, value - 2 * width
        far = (law.predict(above, COLUMNS) - law.predict(below, COLUMNS)) / (4 * width)
        numeric = (4 * near - far) / 3  # Richardson: what is left of the error is of fourth order
        np.testing.assert_allclose(gradient[:, i], numeric, rtol=1e-7, atol=1e-9 * np.abs(gradient[:, i]).max())


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
    assert all(column in COLUMNS for column in law.columns)
    for parameter in law.parameters:
        assert all(parameter.low <= start <= (parameter.high or np.inf) for start in parameter.starts)


def test_the_nested_law_is_p2_without_its_size_term() -> None:
    whole = dict(zip(P2.names, theta_of(P2), strict=True)) | {"N_C": 1e-12}
    np.testing.assert_allclose(
        P2_NESTED.predict(theta_of(P2_NESTED), COLUMNS), P2.predict(np.array([*whole.values()]), COLUMNS), rtol=1e-12
    )


def test_p2_has_the_parents_loss_where_nothing_is_left_to_recover() -> None:
    """It can't end below L0, and goes to L0 with the share that was removed where gamma is negative."""
    theta = dict(zip(P2.names, theta_of(P2), strict=True)) | {"gamma": -1.0}
    values = np.array([*theta.values()])
    assert (P2.predict(values, COLUMNS) > COLUMNS["L0"]).all()
    np.testing.assert_allclose(P2.predict(values, COLUMNS | {"rho": np.full(3, 1e-12)}), COLUMNS["L0"], atol=1e-9)


def test_tokens_until_a_model_is_so_close_to_its_parent_are_those_at_which_p2_says_so() -> None:
    theta = np.array([0.5, 30.0, 200.0, -1.2, 0.1, 0.3, 0.35])
    for law, own in ((P2, theta), (P2_NESTED, np.delete(theta, [1, 5]))):
        tokens = float(law.tokens_until(own, 0.2, 0.25, 1e5))
        columns = {"L0": np.array([3.0]), "rho": np.array([0.25]), "N0": np.array([1e5]), "D": np.array([tokens])}
        assert law.predict(own, columns)[0] == pytest.approx(3.2)
        assert np.isinf(law.tokens_until(own, float(law.stays(own, 0.25, 1e5)), 0.25, 1e5))
        np.testing.assert_allclose(law.tokens_until(np.array([own, own]), 0.2, 0.25, 1e5), tokens)
