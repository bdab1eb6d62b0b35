"""How fast a loss falls with training tokens: slopes in nats per doubling, and how far a law's differ from the measured ones.

The paper of the law P2 (arXiv 2411.10272) judges laws by an "average slope difference", of which it gives the name and
says that it measures convergence rather than level. The definition here is our own: on the tokens D_1 < D_2 < ... of one
curve s_i = (L_(i+1) - L_i) / log2(D_(i+1) / D_i), and ASD = mean_i |predicted s_i - measured s_i|. A constant error of
the loss leaves it alone.
"""

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


def average_slope_difference(tokens: Array, predicted: Array, measured: Array, *, last: int | None = None) -> Array:
    """ASD (...,) of one curve, nats per doubling; of its `last` slopes alone where that is given.

    Args:
        tokens: (n,), at least two, positive and increasing. predicted, measured: (..., n) in nats per token.
    """
    off = np.abs(slopes(tokens, predicted - measured))
    return np.asarray((off if last is None else off[..., -last:]).mean(axis=-1))


def settled_at(tokens: Array, loss: Array, least: float = SETTLED) -> float | None:
    """Tokens from which on the loss falls by less than `least` per doubling (the middle of that step); None if it never does.

    Args:
        tokens, loss: (n,) of one curve, tokens increasing.
    """
    steep = np.flatnonzero(-slopes(tokens, loss) >= least)
    first = int(steep[-1]) + 1 if len(steep) else 0
    return float(np.sqrt(tokens[first] * tokens[first + 1])) if first < len(tokens) - 1 else None
