"""Claims (i) to (v), ours: does it matter when N(t) is large, if its mean is the same?"""

from __future__ import annotations

from types import ModuleType

from analysis.claims.arrow import direction, direction_at_own_rates, sparse_start
from analysis.tables.data import Tables
from analysis.tables.mirrored import has_mirror

OF_MIRROR: tuple[ModuleType, ...] = (direction, direction_at_own_rates, sparse_start)
CLAIMS: tuple[ModuleType, ...] = OF_MIRROR


def judged(tables: Tables) -> tuple[ModuleType, ...]:
    """Those whose study a sweep has."""
    return OF_MIRROR if has_mirror(tables) else ()
