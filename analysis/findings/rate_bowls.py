"""What its learning rate costs a run of a mirrored set: of each kind a parabola in log lr through the mean losses that were measured.

Worlds in which claims are tried need it: where all rates cost the same, a kind's best is at an edge of the rates by luck.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.tables.data import Runs, Tables
from analysis.tables.mirrored import mirrored_sets

CURVATURE = 0.03  # nats for a factor of two, squared in its logarithm: what tuned settings are usually worth


def costs(tables: Tables) -> dict[str, float]:
    """Nats that each configuration tried at several rates loses by its own, over the set's rate; by recipe."""
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
