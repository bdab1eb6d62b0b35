"""The solution against gradient descent on drawn features, and against what is known in its limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.laws.law import Array
from analysis.worlds.random_features import RandomFeatureModel, Removal

Single = NDArray[np.float32]

STEPS = 32
FEATURES = 400
MODES = 128
TASKS = 8  # targets of other signs, which one draw of the features learns beside each other
DRAWS = 400
COSINE = 1 + np.cos(np.pi * (np.arange(STEPS) + 0.5) / STEPS)
FALLING = np.repeat([1, 0.7, 0.5, 0.3, 0.2], [8, 6, 4, 6, 8])
SCHEDULES = {
    "falling": FALLING,
    "rising": FALLING[::-1],
    "constant": np.full(STEPS, 0.5275),
    "step": np.repeat([0.25, 1], STEPS // 2),
    "saw-tooth": np.tile(np.repeat([1, 0.25], 4), 4),
}
CASES: list[tuple[str, Removal, bool]] = [
    *((name, "zeroed", False) for name in SCHEDULES),
    ("falling", "frozen", False),
    ("saw-tooth", "frozen", False),
    ("rising", "zeroed", True),
]


def descended(
    model: RandomFeatureModel, features: Single, targets: Single, counts: Array, removal: Removal, rates: Array
) -> Array:
    """Loss before each step and after the last, (T+1,), of plain gradient descent with drawn features (N0, M)."""
    kept = np.zeros((len(features), targets.shape[1]), np.float32)
    losses, eigenvalues = [], model.eigenvalues.astype(np.float32)[:, None]
    for t in range(len(counts) + 1):
        present = int(counts[min(t, len(counts) - 1)])
        if removal == "zeroed":
            kept[present:] = 0
        rest = targets - features.T @ kept / len(features)
        losses.append(0.5 * float((eigenvalues * rest**2).sum()) / targets.shape[1])
        if t < len(counts):
            kept[:present] += np.float32(model.rate * rates[t]) * (features[:present] @ (eigenvalues * rest))
    return np.array(losses)


@pytest.fixture(scope="module")
def simulated() -> dict[tuple[str, Removal, bool], Array]:
    """Losses of each case by draw, (DRAWS, T+1); a draw of features serves all cases."""
    rng, model = np.random.default_rng(0), RandomFeatureModel.power_law(FEATURES, modes=MODES)
    found: dict[tuple[str, Removal, bool], list[Array]] = {case: [] for case in CASES}
    for _ in range(DRAWS):
        features = rng.standard_normal((FEATURES, MODES), np.float32)
        targets = (rng.choice([-1, 1], (MODES, TASKS)) * np.sqrt(model.targets)[:, None]).astype(np.float32)
        for (name, removal, cosine), losses in found.items():
            counts, rates = np.round(FEATURES * SCHEDULES[name]), COSINE if cosine else np.ones(STEPS)
            losses.append(descended(model, features, targets, counts, removal, rates))
    return {case: np.array(losses) for case, losses in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join([*case[:2], "cosine" * case[2]]).strip())
def test_the_solution_is_gradient_descent_to_one_percent(case, simulated) -> None:
    name, removal, cosine = case
    losses = simulated[case]
    solved = RandomFeatureModel.power_law(FEATURES, modes=MODES).losses(
        np.round(FEATURES * SCHEDULES[name]), removal, COSINE if cosine else None
    )
    mean, error = losses.mean(0), losses.std(0, ddof=1) / DRAWS**0.5
    assert 3 * error[-1] < 0.01 * mean[-1]  # the draws suffice to see one percent
    assert solved[-1] == pytest.approx(mean[-1], rel=0.01)
    assert np.abs(solved / mean - 1).max() < 0.02  # on the way, too


def many() -> RandomFeatureModel:
    """So many features, and so small a rate, that nothing is left but the mean of N(t)."""
    return RandomFeatureModel.power_law(1e9, modes=64, rate=0.05)


@pytest.mark.parametrize("name", ["rising", "step"])
def test_with_many_features_the_average_is_exact_where_nothing_is_zeroed(name: str) -> None:
    model, shares = many(), SCHEDULES[name]
    end = model.losses(1e9 * shares)[-1]
    assert end == pytest.approx(model.losses(np.full(STEPS, 1e9 * shares.mean()))[-1], rel=3e-3)
    assert end == pytest.approx(model.losses(1e9 * shares[::-1], "frozen")[-1], rel=1e-6)
    left = np.prod(1 - model.rate * np.outer(model.eigenvalues, shares), axis=1)
    assert end == pytest.approx(0.5 * (model.eigenvalues * model.targets) @ left**2, rel=1e-6)


def test_rates_over_compute_keep_the_average_exact_and_rates_over_steps_do_not() -> None:
    shares = SCHEDULES["rising"]
    spent = (np.cumsum(shares) - shares / 2) / shares.sum()
    even = (np.arange(STEPS) + 0.5) / STEPS

    def end(counts: Array, done: Array) -> float:
        return float(many().losses(1e9 * counts, rates=1 + np.cos(np.pi * done))[-1])

    constant = end(np.full(STEPS, shares.mean()), even)
    assert end(shares, spent) == pytest.approx(constant, rel=0.005)
    assert end(shares, even) > 1.05 * constant


def test_what_is_zeroed_must_be_learned_again() -> None:
    """With many features, a fall from all to half in the middle leaves half of what was learned."""
    model, shares = many(), np.repeat([1, 0.5], STEPS // 2)
    one, half = ((1 - model.rate * model.eigenvalues * share) ** (STEPS // 2) for share in (1, 0.5))
    left = (1 - 0.5 * (1 - one)) * half
    assert model.losses(1e9 * shares)[-1] == pytest.approx(
        0.5 * (model.eigenvalues * model.targets) @ left**2, rel=1e-6
    )


def test_after_long_training_the_last_count_alone_matters_and_is_that_of_the_known_limit() -> None:
    """The loss of the best fit by n features: what their random subspace leaves of each mode on average."""
    model = replace(RandomFeatureModel.power_law(4, decay=0.2, task=0.5, modes=24), rate=0.2)
    steps = 90
    low, high = 1e-9, 1e9
    for _ in range(200):  # sum_k lambda_k / (lambda_k + kappa) = n
        kappa = (low * high) ** 0.5
        low, high = (kappa, high) if (model.eigenvalues / (model.eigenvalues + kappa)).sum() > 2 else (low, kappa)
    best = 0.5 * (model.eigenvalues * model.targets) @ (kappa / (model.eigenvalues + kappa))
    for counts in (np.full(steps, 2.0), np.repeat([4.0, 2.0], steps // 2), np.repeat([1.0, 2.0], steps // 2)):
        assert model.losses(counts)[-1] == pytest.approx(best, rel=1e-3)


def test_absent_features_learn_nothing() -> None:
    model = RandomFeatureModel.power_law(64, modes=32)
    assert model.losses(np.zeros(5)) == pytest.approx(np.full(6, 0.5 * (model.eigenvalues * model.targets).sum()))
    with pytest.raises(ValueError, match="65"):
        model.losses(np.full(5, 65.0))
    with pytest.raises(FloatingPointError):
        replace(model, rate=1e200).losses(np.full(5, 64.0))
