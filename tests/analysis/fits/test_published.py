"""Other people's points: the objective that others printed, or a lower one, and their constants."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.fits.bootstrap import bootstrap
from analysis.fits.fit import FitResult, fit
from analysis.fits.objective import Objective
from analysis.laws.law import Law
from analysis.laws.registry import CHINCHILLA, LAWS, N_AVG, N_DENSE, N_FINAL
from analysis.tables import table

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data beside the project")


def epoch() -> table.Table:
    """Epoch's 240 points: the five largest losses are left out, as in the published fits."""
    names = {"N": "Model Size", "C": "Training FLOP"}
    whole = table.read(str(SHARED / "epoch_chinchilla" / "svg_extracted_data.csv"), [CHINCHILLA], columns=names)
    return whole.where(whole.loss < np.sort(whole.loss)[-5])


def test_epochs_points_give_the_published_minimum_of_huber() -> None:
    points = epoch()
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
    points = epoch()
    result = fit(CHINCHILLA, points.columns, points.loss, Objective("lad"))
    for name, printed in LAWS["chinchilla"].published["Besiroglu et al. 2024"].items():
        assert result.parameters[name] == pytest.approx(printed, rel=2e-5), name


def test_the_bootstrap_on_epochs_points_gives_the_published_intervals() -> None:
    points = epoch()
    result = fit(CHINCHILLA, points.columns, points.loss)
    drawn = bootstrap(result, points.columns, points.loss, resamples=4000, rng=np.random.default_rng(0))
    for name, (low, high) in {
        "A": (285, 744), "B": (1042, 5810), "E": (1.769, 1.871), "alpha": (0.317, 0.373), "beta": (0.331, 0.415),
    }.items():  # fmt: skip
        ours = drawn.interval()[name]
        assert ours is not None, name
        assert ours[1] - ours[0] == pytest.approx(high - low, rel=0.05), name


def frantar(file: str, *, count: float = 1.0) -> table.Table:
    names = {"N": "nonzero_params", "S": "sparsity", "D": "D_norm", "loss": "val_loss"}
    points = table.read(str(SHARED / "frantar_sparse" / file), [LAWS["sparse"]], columns=names)
    return replace(points, columns={**points.columns, "N": points["N"] / count}, clusters=None)


def test_frantars_points_give_a_lower_minimum_than_was_printed_for_t5_and_the_printed_one_for_vit() -> None:
    t5 = frantar("t5_normalized.csv", count=1e6)
    assert fit(LAWS["sparse"], t5.columns, t5.loss).objective / len(t5) <= 4.8802e-6
    vit = frantar("vit_normalized.csv", count=1e6)
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
    points = frantar(file)
    sparsity = points.columns["S"]
    whole = points.columns["N"] / (1 - sparsity)
    columns = {
        "N_final": points.columns["N"],
        "N_prunable": whole,
        "N_avg": whole * (1 - 0.625 * sparsity),  # a cubic decline from 25% to 75% of the steps
        "D": points.columns["D"],
    }

    def error(law: Law) -> float:
        result: FitResult = fit(law, columns, points.loss)
        return float(np.mean(np.abs(result.predict(columns) - points.loss) / points.loss))

    assert error(N_AVG) == pytest.approx(average, abs=5e-4)
    assert error(N_FINAL) == pytest.approx(final, abs=5e-4)
    assert error(N_DENSE) == pytest.approx(dense, abs=5e-4)


@pytest.mark.parametrize(("data", "printed"), [("c4_original", "C4"), ("rpj", "RPJ"), ("rw_original", "RefinedWeb")])
def test_gadres_five_rows_give_the_published_constants(data: str, printed: str) -> None:
    with (SHARED / "gadre_scaling" / "models_104.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["dataset"] == data]
    small = min(float(r["N"]) for r in rows)
    chosen = sorted((float(r["N"]), float(r["D"]), float(r["loss_c4_val"])) for r in rows if float(r["M"]) == 20)[:4]
    chosen += [
        (small, float(r["D"]), float(r["loss_c4_val"])) for r in rows if float(r["M"]) == 320 and float(r["N"]) == small
    ]
    count, tokens, loss = np.array(chosen).T
    result = fit(LAWS["over_training"], {"N": count, "D": tokens}, loss, Objective("wls"))
    for name, value in LAWS["over_training"].published[printed].items():
        assert result.parameters[name] == pytest.approx(value, rel=6e-3), name
