"""Claim (c): a sparse run ends at the loss of the dense run with the same average count and tokens."""

from __future__ import annotations

from typing import Any

from analysis.claims.schedule import SPARSITIES
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import cells, geometric_mean
from analysis.findings.matched import difference_noise
from analysis.findings.pairs import PairResult, find_pairs
from analysis.fits.outcome import Interval
from analysis.laws.law import Array
from analysis.tables.data import Tables
from analysis.worlds.world import World

LOW, HIGH = 0.9, 1.1

CLAIM = "c"
STATEMENT = "A sparse run ends at the loss of the dense run with the same average parameter count and tokens."
PAPER = "equal losses at ~1B: sparse less dense −.006, −.024, −.027, −.009 nats at 20, 40, 60, 80% (one run each)"
RULE = f"""
For each sparse run with a dense partner of equal prunable N_avg, tokens, steps, batch, budget and seed, N_eff is the dense size
of equal loss: the partner's own loss gives the level, the law fitted on all dense runs only the slope in N there. Intervals
account for the noise of a pair's difference (Student's t) and for that in the dense law (parametric bootstrap), and are
simultaneous at 95% over the pairs (Bonferroni). Reproduced: the sweep has the four sparsities and every pair's interval of
N_eff/N_avg lies inside [{LOW}, {HIGH}]. Not reproduced: any pair's interval lies wholly outside. Otherwise inconclusive. The
pooled ratio is the geometric mean over pairs, with its own 95% interval; since gains at one sparsity can cancel losses at another,
it doesn't enter the verdict. Partners matched on all parameters (embeddings and norms counted) are shown beside it, in nats.
""".strip().replace("\n", " ")

TRUE = "the law in N_avg is the truth, so that N_eff/N_avg is 1 in every pair"
FALSE = f"the same, but in one pair, of the highest sparsity, N_eff/N_avg is {LOW}"
true_world = World.losses  # mean losses of TRUE


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (c)."""
    results = _matched(evidence)
    notes = []
    if results:
        closest = max(abs(r.pair.n_partner / r.pair.n_avg - 1) for r in results)
        notes.append(f"Partners' prunable counts are within {closest:.2%} of the sparse runs' N_avg.")
        notes.append("Seeds of each pair: " + ", ".join(f"{r.pair.name} {r.pair.seeds}" for r in results) + ".")
    spread, overall = difference_noise([r.pair for r in evidence.pairs], evidence.noise), evidence.noise.overall
    if spread is not None and overall is not None and any(r.pair.seeds > 1 for r in results):
        notes.append(
            f"By luck the difference of a pair has a standard deviation of {spread.sd:.4f} nats, from the pairs with several seeds "
            f"({spread.dof} degrees of freedom); two independent runs of any configuration would differ by {2**0.5 * overall.sd:.4f} "
            f"({overall.dof}). A pair with one seed takes the former."
        )
    if all(r.pair.seeds < 2 for r in results) and evidence.noise.overall is not None:
        notes.append("No pair has two seeds: the noise of a difference is taken as that of two independent runs.")
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "N_eff/N_avg, geometric mean over pairs",
        rule(evidence),
        pooled(results),
        {"Pairs; losses in nats": map(_row, evidence.pairs)},
        notes,
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    results, no_slope = _matched(evidence), evidence.comparison.dense_reason
    if not results:
        return "inconclusive", "the sweep holds no sparse run with a dense partner of equal N_avg, tokens and seed"
    if no_slope:
        return "inconclusive", f"no dense law to turn nats into sizes: {no_slope}"
    if all(r.ratio.interval is None for r in results if r.ratio):
        return "inconclusive", evidence.noise.no_interval("a ratio")
    outside = [r.pair.name for r in results if r.ratio and r.ratio.outside(LOW, HIGH)]
    inside = [r.pair.name for r in results if r.ratio and r.ratio.inside(LOW, HIGH)]
    if outside:
        return "not reproduced", f"outside [{LOW}, {HIGH}]: {', '.join(outside)}"
    if len(inside) < len(results):
        why = f"pairs shown to lie inside [{LOW}, {HIGH}]: {len(inside)} of {len(results)}; wholly outside: none"
        return "inconclusive", why
    if not {round(r.pair.sparsity, 6) for r in results} >= set(SPARSITIES):
        why = f"all {len(results)} pairs lie inside [{LOW}, {HIGH}], but not all four sparsities are there"
        return "inconclusive", why
    return "reproduced", f"all {len(results)} pairs lie inside [{LOW}, {HIGH}]"


def false_world(world: World) -> Array:
    """Mean losses of `FALSE`."""
    pairs = [pair for pair in find_pairs(world.tables) if pair.match == "prunable"]
    worst = max(pairs, key=lambda pair: pair.sparsity, default=None)
    if worst is None:
        return world.losses()
    loss = world.at_size(LOW * worst.n_avg, float(worst.sparse["D"][0]))
    return world.changed({worst.sparse["recipe"][0]: loss})


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: both sides of each pair."""
    return {recipe for pair in find_pairs(tables) if pair.match == "prunable" for recipe in pair.recipes}


def _matched(evidence: Evidence) -> list[PairResult]:
    return [r for r in evidence.pairs if r.pair.match == "prunable"]


def pooled(results: list[PairResult]) -> tuple[float | None, Interval | None]:
    """Geometric mean of N_eff/N_avg over pairs, and its 95% interval if every pair has draws."""
    return geometric_mean((r.ratio.value for r in results if r.ratio), (r.ratio_draws for r in results))


def _row(result: PairResult) -> dict[str, Any]:
    pair = result.pair
    return {
        "pair": pair.name,
        "matched on": "prunable N_avg" if pair.match == "prunable" else "all parameters",
        "seeds": pair.seeds,
        "N_avg": pair.n_avg,
        "N of partner": pair.n_partner,
        "loss sparse": float(pair.sparse["loss"].mean()),
        "loss dense": float(pair.partner["loss"].mean()),
        **cells(result.difference, "difference"),
        **cells(result.ratio, "N_eff/N_avg", "its low", "its high"),
    }
