"""Claims (i) to (v), ours: does it matter when N(t) is large, if its mean is the same?"""

from __future__ import annotations

from types import ModuleType

from analysis.claims.arrow import direction, direction_at_own_rates, one_law, operators, sparse_start, weight_in_time
from analysis.tables.data import Tables, has_growth, has_mirror

CLAIMS: tuple[ModuleType, ...] = (direction, direction_at_own_rates, operators, sparse_start, weight_in_time, one_law)
OF_MIRROR = (direction, direction_at_own_rates, sparse_start, weight_in_time)
OF_GROWTH = (operators,)
# They need more than the study: several learning rates, and a sparse beginning beside a dense run.
OF_FURTHER_RUNS = (direction_at_own_rates, sparse_start)

# Their intervals hold the lack of fit of the law of dense runs, and so do the worlds in which their rules are tried.
OF_DENSE_LAW = (weight_in_time, one_law)


def judged(tables: Tables) -> tuple[ModuleType, ...]:
    """The claims for whose studies a sweep has runs; those of OF_FURTHER_RUNS need further runs as well."""
    missing = {*(() if has_mirror(tables) else OF_MIRROR), *(() if has_growth(tables) else OF_GROWTH)}
    if len(missing) == len(OF_MIRROR + OF_GROWTH):
        return ()
    missing |= {claim for claim in OF_FURTHER_RUNS if not claim.repeated(tables)}
    return tuple(claim for claim in CLAIMS if claim not in missing)
