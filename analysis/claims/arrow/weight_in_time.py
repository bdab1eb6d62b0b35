"""Claim (iv), ours: N_avg should be a weighted mean over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.evidence import Evidence
from analysis.findings.time_weight import KAPPAS, LEAST_SEEDS, TimeWeight, time_weight
from analysis.fits.outcome import above, below
from analysis.laws.law import Array
from analysis.laws.registry import N_AVG
from analysis.tables.data import Tables
from analysis.tables.mirrored import SAID, Kind, mirrored_sets
from analysis.tables.schedules import weighted_counts
from analysis.worlds.world import World

NONE = 0.1  # an exponent up to which there is no weight to speak of
STRONG = 1.0  # the exponent of the world in which the claim is true: a weight in proportion to time

CLAIM = "iv"
STATEMENT = "N_avg should be a weighted mean over time: late steps count for more, or for less, than early ones."
PAPER = "N_avg weights all steps equally"
RULE = f"""
N_w is the sum over steps of w(t)·N(t), with w(t) proportional to ((t + ½)/T)^κ and of sum 1; κ = 0 gives N_avg. The law in D and N_avg is fitted to dense runs alone, for which N_w and N_avg are equal; on members of
mirrored sets only κ is fitted, by least squares over all kinds. Held out by kind: κ is fitted to the other kinds, and the difference is the mean |predicted − actual| on the kind left out, less that
with N_avg, where a point is the mean over seeds of one kind in one cell. Intervals are 95%, for a sum of two errors: that from the runs' noise, which runs of one seed may share, by a jackknife that leaves out one seed at a time, with Student's t; and that from the dense law, by resamples of it, in each of which
all configurations, dense ones and points alike, deviate from the law by draws of its lack of fit: the deviations of dense configurations' means from it beyond the noise of the seeds, corrected for its number of parameters. Reproduced: κ's interval excludes 0 and the interval of that
difference lies under 0. Not reproduced, if this isn't so: κ's interval lies within ±{NONE}, or the interval of that difference lies over 0. Otherwise inconclusive, also if the law can't be fitted to the dense runs or has a parameter at a bound, if there are fewer than {LEAST_SEEDS} seeds, or if κ is the first or the
last of the exponents tried ({KAPPAS[0]:g} to {KAPPAS[-1]:g}). If runs with masks differ from dense runs of their N_avg for another reason than time, κ absorbs a part of that difference; claim (v) shows it by kind.
""".strip().replace("\n", " ")

TRUE = f"the law in N_w with κ = {STRONG:g} is the truth, but for the lack of fit of dense runs"
FALSE = "the law in N_avg is the truth, but for that lack of fit, so that κ is 0"
false_world = World.losses  # mean losses of FALSE


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (iv)."""
    found = time_weight(evidence.arrow)
    known = None if isinstance(found, str) else found
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "κ, the exponent of the weight in time",
        _decide(found, evidence),
        known.kappa if known else None,
        {"Held out by kind: mean |predicted − actual|, nats": map(_row, known.by_kind if known else ())},
        _notes(known) if known else (),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    return _decide(time_weight(evidence.arrow), evidence)


def true_world(world: World) -> Array:
    """Mean losses of `TRUE`."""
    runs, losses = world.tables.runs, world.losses()
    members = [
        run_id for own in mirrored_sets(world.tables) for kind in own.members.values() for run_id in kind["run_id"]
    ]
    chosen = np.isin(runs["run_id"].astype(str), members)
    if chosen.any():
        own = runs.where(chosen)
        counts = weighted_counts(own, np.array([STRONG]))[:, 0]
        losses[chosen] = N_AVG.predict(world.theta, {"N_avg": counts, "D": own["D"]})
    return losses


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: all members."""
    return {runs["recipe"][0] for own in mirrored_sets(tables) for runs in own.members.values()}


def _decide(found: TimeWeight | str, evidence: Evidence) -> tuple[Outcome, str]:
    if isinstance(found, str):
        return "inconclusive", found
    kappa, gain = found.kappa.interval, found.gain.interval
    if kappa is None or gain is None:
        if found.seeds < LEAST_SEEDS:
            return "inconclusive", "one seed is too few for an interval of κ"
        return "inconclusive", evidence.noise.no_interval("κ")
    said = f"held out by kind N_w is off by {found.error:.4f} nats and N_avg by {found.error_avg:.4f}"
    if found.at_end:
        return "inconclusive", f"κ lies at the end of the exponents that were tried, {found.kappa.value:g}; {said}"
    if (above(kappa, 0) or below(kappa, 0)) and below(gain, 0):
        why = f"weights that are there {'late' if found.kappa.value > 0 else 'early'} count for more; {said}"
        return "reproduced", why
    if above(kappa, -NONE) and below(kappa, NONE):
        return "not reproduced", f"κ is within ±{NONE}; {said}"
    if above(gain, 0):
        return "not reproduced", f"a weight in time predicts kinds that it wasn't fitted to worse; {said}"
    return "inconclusive", f"neither a weight in time nor its absence is shown; {said}"


def _notes(found: TimeWeight) -> tuple[str, ...]:
    gain = found.gain
    ends = f" [{gain.low:+.4f}, {gain.high:+.4f}]" if gain.low is not None and gain.high is not None else ""
    return (
        f"Fitted to {found.points} points, {found.runs} runs of {found.seeds} seeds. Held out by kind, the mean |error| with N_w less that with N_avg is {gain.value:+.4f}{ends} nats.",
    )


def _row(found: tuple[Kind, float, float, float]) -> dict[str, Any]:
    kind, kappa, own, average = found
    return {"kind left out": SAID[kind], "κ without it": kappa, "with N_w": own, "with N_avg": average}
