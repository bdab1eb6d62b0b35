"""What claims and figures both read: each part computed from the tables when it is first asked for, and once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from analysis.findings import RESAMPLES
from analysis.findings.arrow import Arrow
from analysis.findings.compare import Comparison, Setting, compare, leave_out
from analysis.findings.matched import difference_noise
from analysis.findings.pairs import PairResult, find_pairs, weigh
from analysis.findings.plan_vs_actual import Promise, hold
from analysis.findings.post_training import Recovery
from analysis.findings.theory import Theory, explain
from analysis.findings.unification_map import Chart, chart
from analysis.laws.law import Array, Law
from analysis.laws.registry import RIVALS
from analysis.noise.spread import CONFIDENCE, Noise, measure
from analysis.rate_laws.own_rates import at_own_rates
from analysis.tables.data import BASE_STUDIES, Tables
from repro import studies


@dataclass(frozen=True)
class Evidence:
    """A sweep's tables and what follows from them.

    Attributes:
        tables: the sweep. resamples, seed: of the bootstrap.
        laws: those that are fitted and compared.
        like: of tables whose sparse configurations have other means and which are equal otherwise: the noise of the seeds and
            the fit to dense runs are its.
        refitted: False takes the other fits of `like` too: its law set ends at the same losses.
        start: where fits start, instead of a grid: of simulated losses, at the truth.
        given_curves: of training after pruning, instead of those in `tables`: of simulated losses.
    """

    tables: Tables
    resamples: int = RESAMPLES
    seed: int = 0
    laws: tuple[Law, ...] = RIVALS
    like: Evidence | None = None
    refitted: bool = True
    start: Array | None = None
    given_curves: Recovery | None = None

    @cached_property
    def noise(self) -> Noise:
        """The noise of the seeds of the base recipe; other learning rates and kinds of pruning may well be noisier."""
        if self.like is not None:
            return self.like.noise
        base = self.tables.selected(lambda r: r.serves(studies.SCHEDULES, *BASE_STUDIES))
        return measure(base)

    @cached_property
    def comparison(self) -> Comparison:
        """Every law, fitted to the runs and judged on them."""
        known = None if self.like is None else self.like.comparison
        return compare(
            self.tables,
            self.noise.overall,
            resamples=self.resamples,
            seed=self.seed,
            laws=self.laws,
            fits=None if self.refitted else known,
            dense=known,
            start=self.start,
        )

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """Every test of the laws: the comparison's settings, and the law set without its extremes."""
        held_out = leave_out(self.tables, self.noise.overall, resamples=self.resamples, seed=self.seed)
        return self.comparison.settings | {setting.name: setting for setting in held_out}

    @cached_property
    def pairs(self) -> tuple[PairResult, ...]:
        """Sparse runs beside dense partners, with intervals that are simultaneous at 95%."""
        pairs = find_pairs(self.tables)
        spread = difference_noise(pairs, self.noise)
        tail = (1 - CONFIDENCE) / 2 / max(1, sum(p.match == "prunable" for p in pairs))
        return tuple(weigh(p, spread, self.comparison, tail=tail, seed=self.seed + i) for i, p in enumerate(pairs, 1))

    @cached_property
    def chart(self) -> Chart:
        """The map of the study `regime`; without cells where the sweep has none."""
        return chart(self.tables, self.noise, seed=self.seed)

    @cached_property
    def post_training(self) -> Recovery:
        """Training after pruning, in the study of that name."""
        return self.given_curves or Recovery.of(self.tables, self.resamples, self.seed)

    @cached_property
    def arrow(self) -> Arrow:
        """Runs whose N(t) falls, rises or stays, and the dense runs that they are weighed by."""
        like = None if self.like is None else self.like.arrow
        return Arrow(self.tables, self.noise, self.resamples, self.seed, like, self.start)

    @cached_property
    def own_rates(self) -> Evidence:
        """The same of the runs at their own best learning rates."""
        like = None if self.like is None else self.like.own_rates
        return replace(self, tables=at_own_rates(self.tables), like=like)

    @cached_property
    def promise(self) -> Promise | None:
        """What the plan promised beside what the runs took; None where nothing was planned."""
        return hold(self.tables)

    @cached_property
    def theory(self) -> Theory:
        """The Taylor argument beside the runs."""
        return explain(self.tables)
