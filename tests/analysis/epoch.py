"""Epoch's 240 points of the Chinchilla paper, where the file is there, and the parameters that they are drawn by."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.laws.law import Array
from analysis.laws.registry import CHINCHILLA
from analysis.tables import table

EPOCH = Path(__file__).parents[2].parent / "shared" / "data" / "epoch_chinchilla" / "svg_extracted_data.csv"
TRUTH = np.array([1.8172, 477.8, 0.3473, 2143.4, 0.3672])


def points() -> tuple[dict[str, Array], Array | None]:
    """Epoch's 240 N and D, and losses; a drawn design of as many where the file isn't there."""
    if not EPOCH.is_file():
        rng = np.random.default_rng(0)
        size = np.exp(rng.uniform(17.5, 23.5, 240))
        return {"N": size, "D": size * np.exp(rng.uniform(0, 6, 240))}, None
    whole = table.read(str(EPOCH), [CHINCHILLA], columns={"N": "Model Size", "C": "Training FLOP"})
    kept = whole.where(whole.loss < np.sort(whole.loss)[-5])
    return {name: kept.columns[name] for name in CHINCHILLA.columns}, kept.loss
