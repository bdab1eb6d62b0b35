"""Tables of recipes whose laws are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.analysis.points import csv

FLOPS = np.geomspace(1e17, 1e20, 7)
NOISE = 0.004

# E, A and gamma, of C in units of 1e18 FLOP, and how many times its compute a recipe is worth.
Truth = tuple[float, float, float, float]
BASE: Truth = (1.8, 1.2, 0.2, 1.0)


def loss(truth: Truth, flops: np.ndarray) -> np.ndarray:
    flat, size, power, worth = truth
    return flat + size * (worth * flops / 1e18) ** -power


def ladder(
    recipes: Mapping[str, Truth], rng: np.random.Generator, seeds: int = 3, noise: float = NOISE, misfit: float = 0.0
) -> list[dict]:
    """Rows of runs; `misfit` is by how much all recipes lie off their laws together at a budget."""
    off = misfit * rng.standard_normal(len(FLOPS))
    return [
        {"recipe": name, "C": float(flops), "seed": seed, "loss": float(level + shift + noise * rng.standard_normal())}
        for name, truth in recipes.items()
        for flops, level, shift in zip(FLOPS, loss(truth, FLOPS), off, strict=True)
        for seed in range(seeds)
    ]


def file(tmp_path: Path, recipes: Mapping[str, Truth], seed: int = 0, **more: float) -> str:
    return csv(tmp_path, ladder(recipes, np.random.default_rng(seed), **more))  # type: ignore[arg-type]
