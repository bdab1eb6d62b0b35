"""How fast a loss falls with training tokens: slopes in nats per doubling, and where a curve has settled."""

from __future__ import annotations

import numpy as np

from analysis.laws.law import Array

SETTLED = 0.01  # nats a doubling of the tokens, under which we call a curve converged


def slopes(tokens: Array, loss: Array) -> Array:
    """Nats a doubling between successive points of one curve, (..., n - 1).

    Args:
        tokens: (n,), positive and increasing. loss: (..., n) in nats per token.
    """
    return np.asarray(np.diff(loss, axis=-1) / np.diff(np.log2(tokens)))


def settled_at(tokens: Array, loss: Array, least: float = SETTLED) -> float | None:
    """Tokens from which on the loss falls by less than `least` per doubling (the middle of that step); None if it never does.

    Args:
        tokens, loss: (n,) of one curve, tokens increasing.
    """
    steep = np.flatnonzero(-slopes(tokens, loss) >= least)
    first = int(steep[-1]) + 1 if len(steep) else 0
    return float(np.sqrt(tokens[first] * tokens[first + 1])) if first < len(tokens) - 1 else None
