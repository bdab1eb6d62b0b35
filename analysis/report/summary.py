"""The report's first four sentences: what the paper claims, what this sweep is, what it can tell, and what it tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from analysis.claims import Verdict, in_any_direction, judged_after_pruning, law, of_the_paper, regret
from analysis.findings.evidence import Evidence
from analysis.noise import configurations
from analysis.power.error_rates import ENOUGH_POWER, MOST_FALSE_ALARMS, Power
from analysis.tables.data import Tables
from analysis.tables.mirrored import SAID
from repro import studies

PAPER = (
    "The paper claims that a network which is pruned while it trains ends at the loss of a dense network whose size is the "
    "sparse one's average parameter count, N_avg (the mean over training steps of the number of non-zero prunable weights), when both "
    "see the same number of tokens; so that one law, loss = E + A/N_avg^α + B/D^β with D the tokens, holds for sparse and dense runs."
)

DIRECTION = (
    "A network's average parameter count over training, N_avg, says nothing of when its parameters were there: a network that starts sparse and ends "
    "dense has the N_avg of one that starts dense and ends as sparse. If one law in N_avg holds for both, they end at one loss."
)
AFTER_PRUNING = (
    "The P2 law says what a pruned model has lost while it trains on: loss = L0 + ρ^−γ·N0^−δ·(N_C/N0^α + D_C/D^β + E), with L0 and N0 the loss and the "
    "parameters before, ρ the share of all parameters that was removed, and D the tokens since."
)


def sentences(evidence: Evidence, verdicts: tuple[Verdict, ...], power: Power) -> tuple[str, ...]:
    """Four sentences for a reader who hasn't read the paper; of a sweep with other studies two more for each, or those instead."""
    tables = evidence.tables
    subjects = (
        (of_the_paper(tables), PAPER, _size_and_noise),
        (in_any_direction(tables), DIRECTION, _sets_and_noise),
        (judged_after_pruning(tables), AFTER_PRUNING, _curves_and_noise),
    )
    said = [sentence for claims, subject, about in subjects if claims for sentence in (subject, about(evidence))]
    return (*said, _can_tell(verdicts, power), _tells(verdicts))


def _sets_and_noise(evidence: Evidence) -> str:
    tables, sets = evidence.tables, evidence.arrow.sets
    runs = tables.selected(lambda r: r.serves(studies.MIRROR, studies.GROWTH))
    kinds = ", ".join(dict.fromkeys(SAID[kind] for own in sets for kind in own.members))
    grown = list(dict.fromkeys(name for name in tables.selected(lambda r: r.serves(studies.GROWTH))["surgery"] if name))
    parts = [f"{len(sets)} sets of runs of equal average and tokens ({kinds})"] if sets else []
    parts += [f"{len(grown)} ways to grow a model"] if grown else []
    spread = evidence.noise.overall
    noise = (
        f"runs that differ in their random seed alone end with a standard deviation σ of {spread.sd:.4f} nats per token"
        if spread
        else f"by how much two runs differ by luck isn't known: {evidence.noise.missing}"
    )
    return f"This sweep tries it on {len(runs)} runs of {_range(runs['N_prunable'])} prunable weights, {_listed(parts)}; {noise}."


def _curves_and_noise(evidence: Evidence) -> str:
    post = evidence.post_training
    points = post.points.of("pruned")
    if not len(points):
        return "This sweep has no curve of a pruned model at a constant learning rate."
    noise = (
        f"seeds differ by {post.noise.said}"
        if post.noise
        else f"by how much seeds differ isn't known: {post.why_no_noise}"
    )
    return (
        f"This sweep tries it on {len(points.curves)} curves of {_range(points['N0'])} parameters, {len(post.methods)} ways to prune, "
        f"{points['rho'].min():.0%} to {points['rho'].max():.0%} removed and {_range(points['D'])} tokens since; {noise}."
    )


def _size_and_noise(evidence: Evidence) -> str:
    tables = evidence.tables
    if not len(tables.runs):
        return "This sweep has no run that could be judged."
    return f"This sweep tries it {_scale(tables)}; {_noise(evidence)}."


def _scale(tables: Tables) -> str:
    runs = tables.runs
    size, ratio = runs["N_prunable"], runs["dense_tokens"] / runs["N_prunable"]
    return (
        f"on {len(runs)} runs of {_range(size)} prunable weights and {_range(np.round(ratio))} tokens per weight "
        "(the paper: 58 to 468 million, 206 to 396)"
    )


def _range(values: np.ndarray) -> str:
    low, high = (
        f"{value:,.0f}" if value < 1e6 else f"{value / 1e6:.3g} million" for value in (values.min(), values.max())
    )
    return low if low == high else f"{low} to {high}"


def _noise(evidence: Evidence) -> str:
    found = configurations.find(configurations.base_runs(evidence.tables))
    spread = configurations.pooled(found)
    if spread is None:
        why = configurations.why_no_spread(found) or evidence.noise.missing
        return f"by how much two runs differ by luck isn't known: {why}, so no verdict has an interval"
    sd = spread.sd
    margins = " and ".join(f"{margin:g} nats is {margin / sd:.2g}" for margin in (regret.MARGIN, law.PAPER_ERROR))
    return (
        f"runs that differ in their random seed alone end with a standard deviation σ of {sd:.4f} nats per token; "
        f"of the margins that the claims are judged by, {margins} times that"
    )


def _can_tell(verdicts: tuple[Verdict, ...], power: Power) -> str:
    if power.reason:
        return f"How often its rules err isn't known ({power.reason}), so no claim is called not reproduced."
    known = [(v, v.rates.power) for v in verdicts if v.rates]
    able = [f"{chance:.0%} for {_name(v)}" for v, chance in known if chance >= ENOUGH_POWER]
    weak = [f"{_name(v)}, {chance:.0%}" for v, chance in known if chance < ENOUGH_POWER]
    parts = []
    if able:
        parts.append(f'confirms a claim that is exactly true with a power (chance of "reproduced") of {_listed(able)}')
    if weak:
        parts.append(f'can hardly confirm {_listed(weak)}, so that "inconclusive" says little there')
    return (
        f'With these runs and this noise it {", but ".join(parts)}; "not reproduced" stands only where such a sweep would say so '
        f"of a true claim at most {MOST_FALSE_ALARMS:.0%} of the time ({power.worlds} simulated sweeps of each truth)."
    )


def _tells(verdicts: tuple[Verdict, ...]) -> str:
    found = Counter(v.verdict for v in verdicts)
    parts = [
        f"{count} {outcome} ({_listed([_name(v) for v in verdicts if v.verdict == outcome])})"
        for outcome, count in ((o, found[o]) for o in ("reproduced", "not reproduced", "inconclusive"))
        if count
    ]
    return f"Of {len(verdicts)} claims: {_listed(parts)}."


def _name(verdict: Verdict) -> str:
    return f"({verdict.claim})"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
