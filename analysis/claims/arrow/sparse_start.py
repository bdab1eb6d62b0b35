"""Claim (iii), from SPDF: a sparse beginning costs nothing if the model is finished dense."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from analysis.claims.arrow import direction
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.arrow import Arrow
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import cells
from analysis.findings.set_contrasts import Contrasted, SetContrast, Sides, contrasted
from analysis.laws.law import Array
from analysis.tables.data import Tables
from analysis.tables.mirrored import MirroredSet, mirrored_sets
from analysis.worlds.world import World

MARGIN = 0.01  # nats: up to which claim (a) takes schedules for equally good

CLAIM = "iii"
STATEMENT = "A sparse beginning costs nothing if the model is finished dense."
PAPER = "arXiv 2303.10464: no significant loss on downstream tasks at 1.3B and 75%, fine-tuned dense; by the law in N_avg it costs something"
RULE = f"""
A run with a random static mask until some share of compute, and dense after it, is compared with a dense run of the same size on as many tokens, which
spends more compute; each has the learning rate of its own kind, so that the difference includes what the learning rates cost or gain. In each cell the difference is taken at equal seeds and averaged over them; intervals are Student's t with the pooled noise of such
a difference, simultaneous at 95% over the cells (Bonferroni). Reproduced: every cell's interval lies within ±{MARGIN} nats. Not reproduced: some
cell's lies wholly above {MARGIN}. Otherwise inconclusive. The difference predicted by the law in N_avg, fitted to dense runs alone, is shown beside it.
""".strip().replace("\n", " ")

TRUE = "the run ends where the dense run of its size and tokens does"
FALSE = f"the same, but it ends {MARGIN} nats higher in one cell, of the highest sparsity"


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (iii)."""
    found = _found(evidence)
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "L(sparse, then dense) − L(dense) at one size and one number of tokens, mean over cells, nats",
        rule(evidence),
        found.mean,
        {"Sparse, then dense, less dense; nats": (_row(evidence.arrow, c) for c in found.each)},
        (*direction.notes(found.spread), *_too_wide(found)),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    found = _found(evidence)
    if not found.each:
        return "inconclusive", "no run that begins sparse has a dense run of its size, tokens and seed beside it"
    if found.spread is None:
        return "inconclusive", evidence.noise.no_interval("a difference")
    if costly := [c for c in found.each if c.difference.low is not None and c.difference.low > MARGIN]:
        why = f"it costs over {MARGIN} nats: {', '.join(f'{c.own.name} ({c.difference.value:+.3f})' for c in costly)}"
        return "not reproduced", why
    inside = [c for c in found.each if c.difference.inside(-MARGIN, MARGIN)]
    if len(inside) == len(found.each):
        return "reproduced", f"in all {len(inside)} cells it costs nothing, to {MARGIN} nats"
    why = f"cells shown to be within ±{MARGIN} nats: {len(inside)} of {len(found.each)}; shown to cost more: none"
    return "inconclusive", why


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: both sides of each cell."""
    return {runs["recipe"][0] for _, *both in _sides(mirrored_sets(tables)) for runs in both}


def _costing(world: World, nats: float) -> Array:
    sets = [own for own, *_ in _sides(mirrored_sets(world.tables))]
    sparsest = max(sets, key=lambda s: s.sparsity, default=None)
    return world.changed({
        own.members["static_dense"]["recipe"][0]: world.at_size(own.n, own.d) + (nats if own is sparsest else 0.0)
        for own in sets
    })  # fmt: skip


true_world, false_world = partial(_costing, nats=0.0), partial(_costing, nats=MARGIN)  # mean losses of TRUE, of FALSE


def _sides(sets: Iterable[MirroredSet]) -> list[Sides]:
    found = ((own, own.members.get("static_dense"), own.full) for own in sets)
    return [(own, begun, full) for own, begun, full in found if begun is not None and len(full)]


def _too_wide(found: Contrasted) -> Iterator[str]:
    """That no mean could be shown to lie within the margin, where that is so in a cell."""
    halves = [(high - low) / 2 for low, high in filter(None, (c.difference.interval for c in found.each))]
    if halves and max(halves) >= MARGIN:
        yield (
            f"Intervals reach up to {max(halves):.3f} nats to either side of a mean, farther than the margin of {MARGIN} nats, "
            "so that with these seeds and this noise the claim can't come out reproduced, whatever the means are."
        )


def _found(evidence: Evidence) -> Contrasted:
    return contrasted(evidence.arrow, _sides(evidence.arrow.sets))


def _row(arrow: Arrow, found: SetContrast) -> dict[str, Any]:
    own, begun = found.own, found.matched.one
    return {
        "cell": own.name,
        "sparse at first": float(begun["sparsity"][0]),
        "until, share of compute": float(begun["end"][0]),
        "seeds": found.matched.seeds,
        **cells(found.difference, "difference"),
        "what N_avg says": arrow.cost(own.n_avg, own.n, own.d),
        "compute over the dense run's": own.n_avg / own.n,
    }
