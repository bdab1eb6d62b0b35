"""Tables of points for the tests: rows on a law without noise, rows drawn around it, and both as CSV files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.fits.fit import FitResult
from analysis.laws.law import Array
from analysis.laws.registry import CHINCHILLA

SIZES, TOKENS = (1e6, 3e6, 1e7, 3e7), (1e8, 1e9, 1e10)
ROWS = [{"N": n, "D": d, "loss": 1.5 + 400 / n**0.34 + 400 / d**0.28} for n in SIZES for d in TOKENS]
TRUTH = np.array([1.8, 480.0, 0.35, 2100.0, 0.37])


def csv(tmp_path: Path, rows: list[dict], name: str = "runs.csv") -> str:
    file = tmp_path / name
    heads = list(rows[0]) if rows else []
    file.write_text("\n".join([",".join(heads), *(",".join(str(r[h]) for h in heads) for r in rows)]) + "\n")
    return str(file)


def drawn(n: np.ndarray, d: np.ndarray, noise: float = 0.002, **more: Any) -> list[dict[str, Any]]:
    loss = CHINCHILLA.predict(TRUTH, {"N": n, "D": d}) * np.exp(np.random.default_rng(0).normal(0, noise, len(n)))
    more = {name: np.broadcast_to(values, n.shape) for name, values in more.items()}
    return [
        {"N": float(a), "D": float(b), "loss": float(c)} | {name: values[i] for name, values in more.items()}
        for i, (a, b, c) in enumerate(zip(n, d, loss, strict=True))
    ]


def grid(sizes: int = 5, ratios: tuple[float, ...] = (5, 20, 60, 150)) -> tuple[np.ndarray, np.ndarray]:
    n = np.repeat(np.geomspace(5e7, 1e9, sizes), len(ratios))
    return n, n * np.tile(ratios, sizes)


def with_start(result: FitResult, theta: Array) -> FitResult:
    """`result` at other parameters, to start from."""
    return replace(result, parameters=dict(zip(result.parameters, theta.tolist(), strict=True)))
