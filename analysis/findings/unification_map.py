"""The map of the study `regime`: N_eff/N_avg of sparse runs over sizes, tokens per parameter and sparsities.

N_eff/N_avg as in `pairs`: the dense partner gives the level; the slope in log N at the partner is that of the dense runs
around it (`dense_slope`); and alpha of the law over all dense runs, where it has one, bends the way from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.findings.dense_slope import DensePoints, Slope, local_slope, log_worth
from analysis.findings.law_errors import Measure
from analysis.findings.matched import difference_noise
from analysis.findings.pairs import FAR, PAIR_DRAWS, Pair, pairs_among
from analysis.fits.fit import FitResult, fit, obstacle
from analysis.fits.outcome import percentiles
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.noise import configurations, dense_law
from analysis.noise.seed_noise import ENOUGH
from analysis.noise.spread import CONFIDENCE, Noise, Spread
from analysis.tables.data import Runs, Tables
from repro import studies

FILE = "map.csv"
COLUMNS = ("N", "tokens_per_param", "sparsity", "ratio", "low", "high", "seeds")


@dataclass(frozen=True)
class Cell:
    """One size, number of tokens per parameter and sparsity.

    Attributes:
        pair: the runs. n: prunable weights of the dense size. tokens_per_param: of the dense run of equal compute.
        difference: sparse minus dense loss, nats. ratio: N_eff / N_avg; None with `reason`.
        draws: resamples of the ratio (PAIR_DRAWS,); None where there are none.
        slope: dL/dlog N at the partner; None with `reason`. law_slope: the same of the law over all dense runs.
    """

    pair: Pair
    n: float
    tokens_per_param: float
    difference: Measure
    ratio: Measure | None
    draws: Array | None
    slope: Slope | None
    law_slope: float | None
    reason: str | None = None

    @property
    def sparsity(self) -> float:
        return self.pair.sparsity

    @property
    def row(self) -> dict[str, float | int | None]:
        """The cell in map.csv."""
        ratio = self.ratio or Measure(np.nan)
        value = ratio.value if np.isfinite(ratio.value) else None
        found = (self.n, self.tokens_per_param, self.sparsity, value, ratio.low, ratio.high, self.pair.seeds)
        return dict(zip(COLUMNS, found, strict=True))


@dataclass(frozen=True)
class Chart:
    """All cells, by size, tokens per parameter and sparsity.

    Attributes:
        law: fitted to the means of all dense configurations; None where it can't be. law_error: its mean |error|, nats.
        noise: of one seed's difference, by size label; None where it is unknown.
    """

    cells: tuple[Cell, ...]
    law: FitResult | None
    law_error: float | None
    noise: dict[str, Spread | None]


def has_map(tables: Tables) -> bool:
    """Whether the sweep has the study."""
    return bool(tables.runs.serves(studies.REGIME).any())


def map_runs(tables: Tables) -> Runs:
    """The runs of the study."""
    return tables.selected(lambda r: r.serves(studies.REGIME))


def chart(tables: Tables, noise: Noise, *, seed: int = 0) -> Chart:
    """The map.

    Args:
        noise: of the sweep's seeds, for a map without repeated pairs.
        seed: of the generator.
    """
    pairs = [p for p in pairs_among(map_runs(tables)) if p.match == "prunable"]
    dense = dense_law.tuned(configurations.find(configurations.base_runs(tables)))
    points, spread = DensePoints.of(dense), configurations.pooled(dense)
    columns = {"N_avg": points.n, "D": points.d}
    law = None if obstacle(N_AVG, columns, points.loss) else fit(N_AVG, columns, points.loss)
    error = None if law is None else float(np.abs(law.predict(columns) - points.loss).mean())
    by_size = {size: _size_noise(size, pairs, noise) for size in dict.fromkeys(_size(p) for p in pairs)}
    # The largest ratio comes first and the first failure ends it, so that the number of ratios needs no correction.
    tail = (1 - CONFIDENCE) / 2 / max(1, len(by_size) * len({p.sparsity for p in pairs}))
    cells = [
        _cell(pair, by_size[_size(pair)], points, spread, law, tail, np.random.default_rng([seed, i]))
        for i, pair in enumerate(pairs)
    ]
    return Chart(tuple(sorted(cells, key=lambda c: (c.n, c.tokens_per_param, c.sparsity))), law, error, by_size)


def _size(pair: Pair) -> str:
    return str(pair.sparse["size"][0])


def _size_noise(size: str, pairs: Sequence[Pair], noise: Noise) -> Spread | None:
    """Of one seed's difference: pooled over the size's pairs, or, if these are few, over all where that is larger.

    The noise of the seeds falls with size, by a factor of four over a decade, so a large size has its own as soon as its pairs tell it.
    """
    own, every = difference_noise([p for p in pairs if _size(p) == size], noise), difference_noise(list(pairs), noise)
    if own is not None and own.dof >= ENOUGH:
        return own
    return max((one for one in (own, every) if one), key=lambda one: one.sd, default=None)


def _cell(
    pair: Pair,
    spread: Spread | None,
    points: DensePoints,
    noise: Spread | None,
    law: FitResult | None,
    tail: float,
    rng: np.random.Generator,
) -> Cell:
    n, ratio = float(pair.sparse["N_prunable"][0]), float(pair.sparse["dense_tokens"][0] / pair.sparse["N_prunable"][0])
    difference, drawn = pair.measure(spread, tail), None
    if spread is not None:
        drawn = pair.difference + spread.sd / float(np.sqrt(pair.seeds)) * rng.standard_t(spread.dof, size=PAIR_DRAWS)
    alpha = law.parameters["alpha"] if law is not None and not law.bounds_hit else 0.0
    law_slope = None if law is None else _law_slope(law, pair)
    slope = local_slope(points, pair.n_partner, float(pair.sparse["D"][0]), noise)
    reason = slope if isinstance(slope, str) else None
    if isinstance(slope, str) or slope.value >= 0:
        reason = reason or "the dense loss doesn't fall with size around it"
        return Cell(pair, n, ratio, difference, None, None, None, law_slope, reason)
    value = float(size_ratio(pair, np.array(pair.difference), np.array(slope.value), alpha))
    draws = None if drawn is None else size_ratio(pair, drawn, slope.draws(PAIR_DRAWS, rng), alpha)
    ends = percentiles(draws, 1 - 2 * tail) or (None, None)
    return Cell(pair, n, ratio, difference, Measure(value, *ends), draws, slope, law_slope)


def size_ratio(pair: Pair, difference: Array, slope: Array, alpha: float) -> Array:
    """N_eff / N_avg (...,) from differences in nats and slopes dL/dlog N at the partner; nan where a slope isn't negative.

    Cut at FAR on either side. An alpha of 0 is a loss that is straight in log N.
    """
    way = log_worth(difference, slope, alpha)
    return np.asarray(np.exp(np.clip(np.log(pair.n_partner / pair.n_avg) + way, -np.log(FAR), np.log(FAR))))


def _law_slope(law: FitResult, pair: Pair) -> float:
    p = law.parameters
    return float(-p["alpha"] * p["A"] * pair.n_partner ** -p["alpha"])
