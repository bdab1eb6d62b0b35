"""The shapes of N(t): each is a name in `declared.Shape` and here a function that makes its pieces of density.

Most are pieces written out, and differ in how these are found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from repro.bounds import EVENTS
from repro.errors import UserError
from repro.schedule import falling
from repro.schedule.declared import FALLING, SHAPES, Declared, check_counts
from repro.schedule.pieces import Pieces


def pieces_of(asked: Declared) -> Pieces[float]:
    """Density at each step, as a share of the prunable weights, before it is mirrored.

    Raises:
        UserError: a value out of range, or changes of N(t) that don't fit into the run.
    """
    asked.check()
    if asked.shape == "dense" and asked.sparsity:
        raise UserError(
            "shape and sparsity disagree",
            key="shape",
            found=f"dense at sparsity {asked.sparsity}",
            expected=f"{', '.join(s for s in SHAPES if s != 'dense')} with a sparsity above 0",
        )
    return MAKERS[asked.shape if asked.sparsity else "dense"](asked)


def _dense(asked: Declared) -> Pieces[float]:
    return Pieces((0,), (1.0,), asked.dense_steps)


def _constant(asked: Declared) -> Pieces[float]:
    return written([(0, 1 - asked.sparsity)], asked.dense_steps)


def _static_dense(asked: Declared) -> Pieces[float]:
    """Sparse from step 0 until `end`, then dense: SPDF (arXiv 2303.10464)."""
    if not 0 < asked.end < 1:
        raise UserError(
            "end out of range", key="end", found=asked.end, expected="0 < end < 1: sparse until then, then dense"
        )
    return written([(0, 1 - asked.sparsity), (asked.end, 1.0)], asked.dense_steps, "end")


def _saw_tooth(asked: Declared) -> Pieces[float]:
    """Dense until `start`, then by turns sparse and dense for equally many steps, and sparse from `end` on: AC/DC (arXiv
    2106.12379)."""
    asked.check_window()
    if not 1 <= asked.teeth <= EVENTS // 3:
        raise UserError("teeth out of range", key="teeth", found=asked.teeth, expected=f"1 to {EVENTS // 3:,}")
    kept, period = 1 - asked.sparsity, (asked.end - asked.start) / asked.teeth
    begins = [asked.start + period * tooth for tooth in range(asked.teeth)]
    # Of a period's compute the sparse half has kept / (kept + 1), as it has as many steps as the dense one.
    teeth = [piece for begin in begins for piece in ((begin, kept), (begin + period * kept / (kept + 1), 1.0))]
    pieces = [(0.0, 1.0)] * (asked.start > 0) + teeth + [(asked.end, kept)] * (asked.end < 1)
    return written(pieces, asked.dense_steps, "teeth")


def _pieces(asked: Declared) -> Pieces[float]:
    densities = [density for _, density in asked.pieces]
    if (
        not densities
        or not all(0 < density <= 1 for density in densities)
        or any(a == b for a, b in pairwise(densities))
    ):
        raise UserError(
            "impossible densities of pieces",
            key="pieces",
            found=densities,
            expected="each above 0 and at most 1, and none equal to the one before",
        )
    if round(1 - min(densities), 12) != round(asked.sparsity, 12):
        raise UserError(
            "pieces and sparsity disagree",
            key="sparsity",
            found=asked.sparsity,
            expected=f"{round(1 - min(densities), 12):g}, the largest that the pieces have",
        )
    return written([(begin, density) for begin, density in asked.pieces], asked.dense_steps)


MAKERS: dict[str, Callable[[Declared], Pieces[float]]] = {
    **dict.fromkeys(FALLING, falling.from_compute),
    "constant": _constant,
    "dense": _dense,
    "static_dense": _static_dense,
    "saw_tooth": _saw_tooth,
    "pieces": _pieces,
}


def written(pieces: Sequence[tuple[float, float]], dense_steps: int, key: str = "pieces") -> Pieces[float]:
    """Pieces of a run with the compute of `dense_steps` dense steps.

    Args:
        pieces: (begin, density) of each, the first from 0 on; a begin below 1 is a share of that compute and is rounded to
            the nearest step, one from 1 on is a step.
        key: the key that they follow from, for messages.

    Raises:
        UserError: pieces out of order, or one without a step.
    """
    begins = [begin for begin, _ in pieces]
    if not 0 < len(pieces) <= EVENTS or begins[0] != 0 or any(b >= 1 and not float(b).is_integer() for b in begins):
        raise UserError(
            "impossible beginnings of pieces",
            key=key,
            found=str(begins)[:200],
            expected=f"1 to {EVENTS:,} pieces, the first at 0, each at a share of compute below 1 or at a whole step",
        )
    firsts, spent = [0], 0.0
    for (_, density), begin in zip(pieces, [*begins[1:], None], strict=True):
        left = (dense_steps if begin is None or begin >= 1 else begin * dense_steps) - spent
        steps = int(begin) - firsts[-1] if begin is not None and begin >= 1 else round(left / density)
        if steps < 1:
            raise UserError(
                "a piece without a step",
                key=key,
                found=f"density {density:g} from step {firsts[-1]:,} on, for {steps:,} steps",
                expected="at least 1 step for each piece: other beginnings, or more steps",
            )
        firsts.append(firsts[-1] + steps)
        spent += steps * density
    check_counts(firsts[-1], "total_steps")
    return Pieces(tuple(firsts[:-1]), tuple(density for _, density in pieces), firsts[-1])
