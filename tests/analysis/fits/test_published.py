"""Other people's points: the objective that others printed, or a lower one, and their constants."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.fits.fit import FitResult, fit
from analysis.fits.objective import Objective
from analysis.fits.resample import bootstrap
from analysis.laws.law import Law
from analysis.laws.registry import CHINCHILLA, LAWS, N_AVG, N_DENSE, N_FINAL
from tests.analysis import published

pytestmark = published.needed


def test_epochs_points_give_the_published_minimum_of_huber() -> None:
    points = published.epoch()
    result = fit(CHINCHILLA, points.columns, points.loss)
    assert result.n_rows == 240
    assert result.objective <= 0.00101827403 * (1 + 1e-6)
    # The printed A and B are rounded from a point 1.2e-8 above this minimum, along its flattest direction.
    for name, printed, width in (
        ("A", 477.84, 0.02),
        ("B", 2143.9, 0.6),
        ("E", 1.81724, 3e-5),
        ("alpha", 0.34731, 5e-6),
        ("beta", 0.36718, 1e-5),
    ):
        assert result.parameters[name] == pytest.approx(printed, abs=width), name
    assert (result.status, result.starts_agreeing) == ("converged", result.starts)


def test_epochs_points_give_the_published_least_absolute_deviations() -> None:
    points = published.epoch()
    result = fit(CHINCHILLA, points.columns, points.loss, Objective("lad"))
    for name, printed in LAWS["chinchilla"].published["Besiroglu et al. 2024"].items():
        assert result.parameters[name] == pytest.approx(printed, rel=2e-5), name


def test_the_bootstrap_on_epochs_points_gives_the_published_intervals() -> None:
    points = published.epoch()
    result = fit(CHINCHILLA, points.columns, points.loss)
    drawn = bootstrap(result, points.columns, points.loss, resamples=4000, rng=np.random.default_rng(0))
    for name, (low, high) in {
        "A": (285, 744), "B": (1042, 5810), "E": (1.769, 1.871), "alpha": (0.317, 0.373), "beta": (0.331, 0.415),
    }.items():  # fmt: skip
        ours = drawn.interval()[name]
        assert ours is not None, name
        assert ours[1] - ours[0] == pytest.approx(high - low, rel=0.05), name


def test_frantars_points_give_a_lower_minimum_than_was_printed_for_t5_and_the_printed_one_for_vit() -> None:
    t5 = published.frantar("t5_normalized.csv", count=1e6)
    assert fit(LAWS["sparse"], t5.columns, t5.loss).objective / len(t5) <= 4.8802e-6
    vit = published.frantar("vit_normalized.csv", count=1e6)
    result = fit(LAWS["sparse"], vit.columns, vit.loss, Objective("huber", 0.01))
    assert result.objective / len(vit) <= 4.92909e-4
    printed = LAWS["sparse"].published["ViT/JFT, N in millions, D in 1e9 examples"]
    assert result.parameters == pytest.approx(printed, rel=1e-4)


@pytest.mark.parametrize(("file", "average", "final", "dense"), [
    ("t5_normalized.csv", 0.0204, 0.0335, 0.0367),
    ("vit_normalized.csv", 0.0179, 0.0327, 0.0334),
])  # fmt: skip
def test_the_average_count_is_the_best_single_count_on_frantars_points(
    file: str, average: float, final: float, dense: float
) -> None:
    columns, loss = published.frantar_counts(file)

    def error(law: Law) -> float:
        result: FitResult = fit(law, columns, loss)
        return float(np.mean(np.abs(result.predict(columns) - loss) / loss))

    assert error(N_AVG) == pytest.approx(average, abs=5e-4)
    assert error(N_FINAL) == pytest.approx(final, abs=5e-4)
    assert error(N_DENSE) == pytest.approx(dense, abs=5e-4)


@pytest.mark.parametrize(("data", "printed"), [("c4_original", "C4"), ("rpj", "RPJ"), ("rw_original", "RefinedWeb")])
def test_gadres_five_rows_give_the_published_constants(data: str, printed: str) -> None:
    columns, loss = published.gadre(data)
    result = fit(LAWS["over_training"], columns, loss, Objective("wls"))
    for name, value in LAWS["over_training"].published[printed].items():
        assert result.parameters[name] == pytest.approx(value, rel=6e-3), name
