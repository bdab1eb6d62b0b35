"""Other people's points in the folder beside the project, where it is there."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.laws.law import Array
from analysis.laws.registry import CHINCHILLA, LAWS
from analysis.tables import table

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needed = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data beside the project")


def epoch() -> table.Table:
    """Epoch's 240 points: the five largest losses are left out, as in the published fits."""
    names = {"N": "Model Size", "C": "Training FLOP"}
    whole = table.read(str(SHARED / "epoch_chinchilla" / "svg_extracted_data.csv"), [CHINCHILLA], columns=names)
    return whole.where(whole.loss < np.sort(whole.loss)[-5])


def frantar(file: str, *, count: float = 1.0) -> table.Table:
    """Frantar's points, with parameters in units of `count`."""
    names = {"N": "nonzero_params", "S": "sparsity", "D": "D_norm", "loss": "val_loss"}
    points = table.read(str(SHARED / "frantar_sparse" / file), [LAWS["sparse"]], columns=names)
    return replace(points, columns={**points.columns, "N": points["N"] / count}, clusters=None)


def frantar_counts(file: str) -> tuple[dict[str, Array], Array]:
    """Three counts of parameters and the data of Frantar's points, and their losses."""
    points = frantar(file)
    sparsity = points.columns["S"]
    whole = points.columns["N"] / (1 - sparsity)
    columns = {
        "N_final": points.columns["N"],
        "N_prunable": whole,
        "N_avg": whole * (1 - 0.625 * sparsity),  # a cubic decline from 25% to 75% of the steps
        "D": points.columns["D"],
    }
    return columns, points.loss


def gadre(data: str) -> tuple[dict[str, Array], Array]:
    """The five rows that Gadre et al. fit on one data set: four sizes at 20 tokens a parameter, the least at 320."""
    with (SHARED / "gadre_scaling" / "models_104.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["dataset"] == data]
    small = min(float(r["N"]) for r in rows)
    chosen = sorted((float(r["N"]), float(r["D"]), float(r["loss_c4_val"])) for r in rows if float(r["M"]) == 20)[:4]
    chosen += [
        (small, float(r["D"]), float(r["loss_c4_val"])) for r in rows if float(r["M"]) == 320 and float(r["N"]) == small
    ]
    count, tokens, loss = np.array(chosen).T
    return {"N": count, "D": tokens}, loss


def gadre_downstream(data: str) -> tuple[Array, Array]:
    """Loss and mean error over 17 tasks of the six rows that give the printed law: five sizes at 20 tokens a parameter, and the least at 320."""
    with (SHARED / "gadre_scaling" / "models_104.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["dataset"] == data]
    small = min(float(r["N"]) for r in rows)
    chosen = sorted(
        (float(r["N"]), float(r["loss_c4_val"]), float(r["err_avg_17"])) for r in rows if float(r["M"]) == 20
    )[:5]
    chosen += [
        (small, float(r["loss_c4_val"]), float(r["err_avg_17"]))
        for r in rows
        if float(r["M"]) == 320 and float(r["N"]) == small
    ]
    _, loss, error = np.array(chosen).T
    return loss, error
