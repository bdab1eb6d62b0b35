"""What a page says first to a reader who hasn't read the paper: what is asked, what was run, what came out, how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from analysis.claims import Verdict, in_any_direction, judged_after_pruning, law, of_the_paper, regret
from analysis.claims.verdict import Outcome
from analysis.findings.evidence import Evidence
from analysis.noise import configurations
from analysis.power.error_rates import ENOUGH_POWER, MOST_FALSE_ALARMS, Power
from analysis.tables.mirrored import SAID
from repro import studies

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
MEANING = {
    "reproduced": "the 95% interval of what was measured lies wholly where the claim says.",
    "not reproduced": "it lies wholly elsewhere, and such a sweep would say so of a claim that is exactly true at most "
    f"{MOST_FALSE_ALARMS:.0%} of the time.",
    "inconclusive": "this sweep can't tell: its interval is too wide, or runs that the rule needs are missing. That is "
    "evidence neither for the claim nor against it.",
}

# Formulas are HTML.
N_AVG = (
    "<i>N</i><sub>avg</sub> = (<i>N</i><sub>1</sub> + <i>N</i><sub>2</sub> + … + <i>N</i><sub>T</sub>) / <i>T</i>",
    "N_t: the weights of linear layers that are not zero at step t of T.",
)
LAW = (
    "loss = <i>E</i> + <i>A</i> / <i>N</i><sub>avg</sub><sup>α</sup> + <i>B</i> / <i>D</i><sup>β</sup>",
    "loss: on held-out text, in nats per token. D: the tokens that a run is trained on. E, A, B, α, β: fitted.",
)
P2 = (
    "loss = <i>L</i><sub>0</sub> + <i>ρ</i><sup>−γ</sup> <i>N</i><sub>0</sub><sup>−δ</sup> "
    "(<i>N</i><sub>C</sub> / <i>N</i><sub>0</sub><sup>α</sup> + <i>D</i><sub>C</sub> / <i>D</i><sup>β</sup> + <i>E</i>)",
    "loss: on held-out text, in nats per token. L0 and N0: loss and parameters before. ρ: the share of all parameters that was "
    "removed. D: the tokens since. The others: fitted.",
)
N_AVG_LIFE = (
    "<i>N</i><sub>avg</sub> = (<i>N</i><sub>before</sub> <i>D</i><sub>before</sub> + <i>N</i><sub>after</sub> <i>D</i>) / "
    "(<i>D</i><sub>before</sub> + <i>D</i>)",
    "N_avg, a pruned model's average parameter count: the mean of its prunable weights over all tokens of its life.",
)

LUCK = "Runs that differ in their random seed alone end with a standard deviation σ of"
UNKNOWN = "By how much two runs differ by luck isn't known"


PAPER = (
    "The paper claims that a network which is pruned while it trains ends at the loss of a dense network of its average parameter "
    "count, N_avg (the mean over training steps of the number of non-zero prunable weights), when both see the same number of tokens. "
    "So one law would hold for pruned (sparse) and dense runs."
)
DIRECTION = (
    "A network's average parameter count over training, N_avg, says nothing of when its parameters were there: a network that starts sparse and ends "
    "dense can have the N_avg of one that starts dense and ends sparse. If one law in N_avg holds for both, they end at one loss."
)
AFTER_PRUNING = (
    "A trained model loses a share of its parameters at once and is trained on. The P² law says what its loss is then, from what is known before; "
    "and if a model is worth its average size, as “The Journey Matters” says of models that are pruned while they train, N_avg says it too."
)


def first(evidence: Evidence, verdicts: tuple[Verdict, ...], power: Power) -> dict[str, Any]:
    """What the page says first; of a sweep with studies of several questions, each of them.

    Returns:
        asked: of each question its `text`, `formulas` as (HTML, what the letters are), and what was `run` for it.
        tells: how many claims came out how. sure: by how much luck bears on it, and what the rules can tell.
    """
    tables = evidence.tables
    asked, sure = [], []
    formulas: set[tuple[str, str]] = set()
    for judged, text, known, about in (
        (of_the_paper(tables), PAPER, (N_AVG, LAW), _ladder),
        (in_any_direction(tables), DIRECTION, (N_AVG, LAW), _sets),
        (judged_after_pruning(tables), AFTER_PRUNING, (P2, N_AVG_LIFE), _curves),
    ):
        if judged:
            run, luck = about(evidence)
            asked.append({"text": text, "formulas": [one for one in known if one not in formulas], "run": run})
            formulas |= set(known)
            sure += [luck] if luck else []
    sentences = (*dict.fromkeys(sure), _can_tell(verdicts, power))
    return {"asked": asked, "tells": _tells(verdicts), "sure": sentences}


def _ladder(evidence: Evidence) -> tuple[str, str]:
    """What was run for the paper's claims, and by how much luck bears on it; so of the others."""
    runs = evidence.tables.runs
    if not len(runs):
        return "This sweep has no run that could be judged.", ""
    size, ratio = runs["N_prunable"], runs["dense_tokens"] / runs["N_prunable"]
    return (
        f"{len(runs)} runs of {_range(size)} prunable weights, on {_range(np.round(ratio))} tokens for each weight "
        "(the paper: 58 to 468 million weights, 206 to 396 tokens).",
        _noise(evidence),
    )


def _sets(evidence: Evidence) -> tuple[str, str]:
    tables, sets = evidence.tables, evidence.arrow.sets
    runs = tables.selected(lambda r: r.serves(studies.MIRROR, studies.GROWTH))
    kinds = ", ".join(dict.fromkeys(SAID[kind] for own in sets for kind in own.members))
    grown = list(dict.fromkeys(name for name in tables.selected(lambda r: r.serves(studies.GROWTH))["surgery"] if name))
    parts = [f"{len(sets)} sets of equal average and tokens whose networks are {kinds}"] if sets else []
    parts += [f"{len(grown)} ways to grow a model"] if grown else []
    spread = evidence.noise.overall
    return (
        f"{len(runs)} runs of {_range(runs['N_prunable'])} prunable weights: {_listed(parts)}.",
        f"{LUCK} {spread.sd:.4f} nats per token." if spread else f"{UNKNOWN}: {evidence.noise.missing}.",
    )


def _curves(evidence: Evidence) -> tuple[str, str]:
    post = evidence.post_training
    points = post.points.of("pruned")
    if not len(points):
        return "This sweep has no curve of a pruned model at a constant learning rate.", ""
    return (
        f"{len(points.curves)} curves of models of {_range(points['N0'])} parameters, {len(post.methods)} ways to prune, "
        f"{points['rho'].min():.0%} to {points['rho'].max():.0%} removed and {_range(points['D'])} tokens since.",
        f"Seeds differ by {post.noise.said}." if post.noise else f"{UNKNOWN}: {post.why_no_noise}.",
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
        return f"{UNKNOWN}: {why}, so no verdict has an interval."
    sd = spread.sd
    margins = " and ".join(f"{margin:g} nats is {margin / sd:.2g}" for margin in (regret.MARGIN, law.PAPER_ERROR))
    return f"{LUCK} {sd:.4f} nats per token; of the margins that the claims are judged by, {margins} times that."


def _can_tell(verdicts: tuple[Verdict, ...], power: Power) -> str:
    if power.reason:
        return f"How often its rules err isn't known ({power.reason}), so no claim is called not reproduced."
    known = [(v, v.rates.power) for v in verdicts if v.rates]
    able = [f"({v.claim}) {chance:.0%}" for v, chance in known if chance >= ENOUGH_POWER]
    weak = [f"({v.claim}) {chance:.0%}" for v, chance in known if chance < ENOUGH_POWER]
    parts = []
    if able:
        parts.append(f"often enough for {_listed(able)}")
    if weak:
        parts.append(f'too rarely for {_listed(weak)}, where "inconclusive" says little')
    return (
        f'Power: how often a claim that is exactly true comes out "reproduced", in {power.worlds} simulated sweeps with these runs and '
        f"this noise: {'; '.join(parts)}."
    )


def _tells(verdicts: tuple[Verdict, ...]) -> str:
    found = Counter(v.verdict for v in verdicts)
    parts = [f"{found[outcome]} {outcome}" for outcome in OUTCOMES if found[outcome]]
    return f"Of {len(verdicts)} claims: {_listed(parts)}."


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
