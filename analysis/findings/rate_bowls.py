"""Loss against learning rate for each kind of run in a mirrored set: a parabola in log lr through the measured mean losses.

Simulated sweeps need it: if all learning rates gave the same loss, the best of a kind would often be at an edge by chance.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.tables.data import Runs, Tables
from analysis.tables.mirrored import mirrored_sets

CURVATURE = 0.03  # nats for a factor of two, squared in its logarithm: what tuned settings are usually worth


def costs(tables: Tables) -> dict[str, float]:
    """Loss that each configuration's own learning rate costs over the set's, nats, for configurations tried at several; by recipe hash."""
    found: dict[str, float] = {}
    for own in mirrored_sets(tables):
        for kind in own.members:
            tries = own.tries(kind)
            lost = _parabola(tries) if len(tries) > 1 else {}
            found |= {str(tries[multiple]["recipe"][0]): nats for multiple, nats in lost.items()}
    return found


def _parabola(tries: Mapping[float, Runs]) -> dict[float, float]:
    """By multiple, less that of the set's rate: by least squares, seeds counting; of runs that haven't been trained as CURVATURE says."""
    way = np.log2([*tries])
    means, seeds = (np.array([f(runs["loss"]) for runs in tries.values()], dtype=float) for f in (np.mean, len))
    if np.isfinite(means).all():
        terms = np.polyfit(way, means, min(2, len(way) - 1), w=np.sqrt(seeds))
    else:
        terms = np.array([CURVATURE, 0.0, 0.0])
    lost = np.polyval(terms, way) - np.polyval(terms, 0.0)
    return dict(zip(tries, lost.tolist(), strict=True))
