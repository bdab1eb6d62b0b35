"""Whether a formula's parameters can be identified from any rows at all, as A and B in A*B/N^a can't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.laws.formulas import calculus
from analysis.laws.formulas.spans import Span
from analysis.laws.formulas.tape import Tape
from analysis.laws.formulas.tree import Expression
from repro.errors import UserError

ROWS = 20  # rows a parameter, of columns drawn at random
TRIES = 12  # points at which a formula is tried; one at which all can be told apart is enough
SMALL = (1.5, 200.0)  # between which columns are drawn at every other of them
USUAL = {"D": (1e6, 1e13), "C": (1e15, 1e25)}  # and at the others, where they are tokens, FLOP or, N…, parameters
FLAT = 1e-11  # share of the largest singular value under which a direction changes nothing
WIDE = (0.3, 3.0)  # between which a parameter is drawn where its bounds allow it


def refuse_unidentified(tree: Expression, parameters: Sequence[str], spans: Mapping[str, Span], levels: Mapping[str, int]) -> None:  # fmt: skip
    """Raises UserError for parameters that move together without changing anything.

    Args:
        spans: bounds of the parameters. levels: how many labels each column of labels has.
    """
    tape, rng = Tape([calculus.derivative(tree, name) for name in parameters]), np.random.default_rng(0)
    moved: list[str] = []
    for i in range(TRIES):
        count = ROWS * len(parameters) * max([1, *levels.values()])
        x = {name: _drawn(name, levels, count, rng, small=i % 2 == 0) for name in calculus.columns(tree)}
        p = {name: np.array([_inside(spans[name], rng)]) for name in parameters}
        with np.errstate(all="ignore"):
            slopes = np.stack([np.broadcast_to(own, (count,)) for own in tape.run(p, x)], axis=1)
            slopes = slopes[np.isfinite(slopes).all(axis=1)]
            norm = np.linalg.norm(slopes, axis=0)
        if len(slopes) <= len(parameters) or not np.isfinite(norm).all():
            continue
        _, sizes, directions = np.linalg.svd(slopes / np.where(norm > 0, norm, 1.0), full_matrices=False)
        flat = directions[sizes <= FLAT * sizes[0]]
        along = (np.abs(flat) > 1e-6).any(axis=0)
        if not along.any():
            return
        moved = [name for name, own in zip(parameters, along, strict=True) if own]
    if moved:
        raise UserError(
            "parameters that no rows can tell apart", key="formula", found=", ".join(moved),
            expected=f"one of them fixed (--fix {moved[-1]}=1), or another formula",
        )  # fmt: skip


def _drawn(name: str, levels: Mapping[str, int], count: int, rng: np.random.Generator, *, small: bool) -> np.ndarray:
    if name in levels:
        return rng.integers(0, levels[name], count).astype(float)
    if name in ("S", "rho"):
        return rng.uniform(0.05, 0.9, count)
    usual = (1e5, 1e12) if name.startswith("N") else USUAL.get(name, SMALL)
    low, high = SMALL if small else usual
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def _inside(own: Span, rng: np.random.Generator) -> float:
    """A number between the bounds, a usual one where they allow it."""
    low, high = max(own.low, WIDE[0]), min(own.high, WIDE[1])
    if low >= high:
        low, high = max(own.low, -1e3), min(own.high, 1e3)
    return float(rng.uniform(low, high)) if low < high else own.low
