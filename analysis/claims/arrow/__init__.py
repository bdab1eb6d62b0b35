"""Claims (i) to (v), ours: does it matter when N(t) is large, if its mean is the same?"""

from __future__ import annotations

from types import ModuleType

from analysis.claims.arrow import direction, direction_at_own_rates, one_law, operators, sparse_start, weight_in_time
from analysis.tables.data import Tables
from analysis.tables.growth import has_growth
from analysis.tables.mirrored import has_mirror

CLAIMS: tuple[ModuleType, ...] = (direction, direction_at_own_rates, operators, sparse_start, weight_in_time, one_law)
OF_MIRROR = (direction, direction_at_own_rates, sparse_start, weight_in_time)
OF_GROWTH = (operators,)


def judged(tables: Tables) -> tuple[ModuleType, ...]:
    """Those of the studies that a sweep has."""
    missing = {*(() if has_mirror(tables) else OF_MIRROR), *(() if has_growth(tables) else OF_GROWTH)}
    return tuple(claim for claim in CLAIMS if claim not in missing) if len(missing) < len(OF_MIRROR + OF_GROWTH) else ()
