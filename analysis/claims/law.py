"""Claim (b): one law in the average parameter count fits sparse and dense runs together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from analysis.claims.schedule import SPARSITIES
from analysis.claims.verdict import Outcome, Stated, Verdict
from analysis.findings.compare import DENSE_TO_SPARSE, IN_SAMPLE, Setting
from analysis.findings.evidence import Evidence
from analysis.findings.law_errors import Errors, cells
from analysis.fits.fit import information
from analysis.fits.outcome import above, below
from analysis.laws.registry import LAWS, N_AVG, N_DENSE, N_FINAL
from analysis.noise.spread import Noise, Spread
from analysis.tables.data import Tables
from analysis.worlds.world import World

_SHARED = ("E", "A", "alpha", "B", "beta", "w")  # parameters that have a column of their own
PAPER_ERROR = 0.016  # nats, mean over the paper's 30 runs

CLAIM = "b"
STATEMENT = "L = E + A/N_avg^α + B/D^β fits sparse and dense runs together."
PAPER = "mean |predicted − actual| .016 nats over 30 runs; .007 at 0%, .03 at 60% sparsity"
RULE = f"""
All laws are fitted to the same runs with the same solver (Huber 1e-3 on log residuals, summed). There are two conditions on the
law in N_avg. In sample, on the law set: its mean |predicted − actual| is at most the paper's {PAPER_ERROR} nats. Held out,
which is the unification itself: fitted on dense runs alone, where all counts are equal and all laws are the same fit, its mean
|error| on the sparse runs at 25/50/25 is less than that of the same fit with final N, and than with dense N (paired by
run and by resample). Intervals are 95%, by parametric bootstrap with the seeds' noise. Reproduced: the sweep has the four
sparsities, at least three sizes and two budgets, the upper bound of the first is at most {PAPER_ERROR} and the lower bounds
of both differences of the second are over 0. Not reproduced: the law set has dense and sparse runs, and the lower bound of the first is over {PAPER_ERROR} while the
measured error is also over the 97.5th percentile of what the seeds' noise alone would give if the law were the truth (a
noisy sweep refutes nothing), or either difference is under 0 with its upper bound. Otherwise inconclusive. The law in
effective N has one more parameter, w, which dense runs can't identify and which is therefore taken from the law set: it is
shown beside the others and doesn't enter the verdict.
""".strip().replace("\n", " ")

TRUE = "the law in N_avg is the truth"
FALSE = "the law in final N is the truth"
true_world, false_world = partial(World.losses, law=N_AVG), partial(World.losses, law=N_FINAL)  # mean losses of each


def judge(evidence: Evidence) -> Verdict:
    """The verdict on claim (b)."""
    comparison = evidence.comparison
    in_sample = comparison.settings[IN_SAMPLE]
    error = None if in_sample.reason else in_sample.errors[N_AVG.name].mean_abs()
    details = {
        "Fitted laws (A and B for N and D in single parameters and tokens)": _laws(evidence),
        **{_title(setting): _errors(setting, evidence) for setting in evidence.settings.values()},
        "Seeds' noise, nats: standard deviation pooled within configurations, 95% interval": _noise(evidence.noise),
    }
    return Stated(CLAIM, STATEMENT, PAPER, RULE).filled(
        "mean |predicted − actual| of the N_avg law on the law set, nats",
        rule(evidence),
        error,
        details,
        _notes(evidence),
    )


def rule(evidence: Evidence) -> tuple[Outcome, str]:
    """The outcome and its reason."""
    comparison = evidence.comparison
    in_sample = comparison.settings[IN_SAMPLE]
    if in_sample.reason:
        return "inconclusive", f"no fit on the law set: {in_sample.reason}"
    error = in_sample.errors[N_AVG.name].mean_abs()
    if error.interval is None:
        return "inconclusive", evidence.noise.no_interval("an error")
    luck, held_out, law_set = comparison.luck[N_AVG.name], comparison.settings[DENSE_TO_SPARSE], evidence.tables.law_set
    if law_set.sparse.all() or not law_set.sparse.any():
        return "inconclusive", "the law set doesn't hold both dense and sparse runs"
    if above(error.interval, PAPER_ERROR):
        if below(luck.interval, error.value):
            why = f"the error in sample is over {PAPER_ERROR}, and over what the seeds' noise explains"
            return "not reproduced", why
        return "inconclusive", f"the error in sample is over {PAPER_ERROR}, but the seeds' noise alone explains it"
    if held_out.reason:
        return "inconclusive", f"dense runs can't be made to predict sparse ones: {held_out.reason}"
    margins = {
        law.name: held_out.errors[law.name].worse_than(held_out.errors[N_AVG.name]).interval
        for law in (N_FINAL, N_DENSE)
    }
    beaten_by = [name for name, own in margins.items() if below(own, 0)]
    tied_with = [name for name, own in margins.items() if not above(own, 0)]
    if beaten_by:
        why = f"fitted on dense runs, {' and '.join(beaten_by)} predicts sparse runs better than N_avg"
        return "not reproduced", why
    if tied_with:
        why = f"fitted on dense runs, N_avg is not shown to predict sparse runs better than {' and '.join(tied_with)}"
        return "inconclusive", why
    if not below(error.interval, PAPER_ERROR):
        return "inconclusive", f"N_avg predicts sparse runs best, but the error in sample may be over {PAPER_ERROR}"
    sparsities = set(np.round(law_set["sparsity"], 6))
    sizes, budgets = len(set(law_set["N_prunable"])), len(set(law_set["budget"]))
    if not sparsities >= set(SPARSITIES) or sizes < 3 or budgets < 2:
        return "inconclusive", "both parts hold, but the sweep doesn't hold the paper's law set"
    why = f"the error in sample is at most {PAPER_ERROR}, and fitted on dense runs N_avg predicts sparse runs best"
    return "reproduced", why


def repeated(tables: Tables) -> set[str]:
    """Configurations, by recipe hash, for which further seeds would narrow its intervals: none, as one seed of each run is read."""
    return set()


def _notes(evidence: Evidence) -> Iterator[str]:
    law_set, comparison, overall = evidence.tables.law_set, evidence.comparison, evidence.noise.overall
    if overall is not None:
        yield (
            f"Seeds' σ is {overall.sd:.4f} nats ({overall.low:.4f} to {overall.high:.4f}, "
            f"{overall.dof} degrees of freedom, {overall.groups} configurations)."
        )
    if len(law_set):
        losses, sizes = law_set["loss"], law_set["N_prunable"]
        yield f"Losses of the law set run from {losses.min():.3f} to {losses.max():.3f} nats over {len(law_set)} runs."
        ratios = law_set["dense_tokens"] / sizes
        span, longer = sizes.max() / sizes.min(), ratios.max() / ratios.min()
        if span < 10 or longer < 2:
            yield (
                f"Sizes span {span:.1f}x and tokens per parameter {longer:.1f}x; "
                "under 10x and 2x the parameters of a law are poorly identified."
            )
    if (luck := comparison.luck.get(N_AVG.name)) and luck.interval:
        yield (
            f"If the N_avg law were the truth, the seeds' noise alone would give a mean |error| of {luck.value:.4f} nats in sample "
            f"({luck.low:.4f} to {luck.high:.4f})."
        )
    for name, reason in comparison.obstacles.items():
        yield f"On the law set {name} can't be fitted: {reason}."
    fits = [("the law set", f.law.name, f) for f in comparison.law_fits.values()]
    if comparison.dense_fit is not None:
        fits.append(("dense runs", "N", comparison.dense_fit))
    for where, count, found in fits:
        if found.bounds_hit:
            yield (
                f"On {where} the law in {count} ends with {', '.join(found.bounds_hit)} at a bound: not "
                "identified, and every interval from this fit holds only while it stays there."
            )


def _laws(evidence: Evidence) -> Iterator[dict[str, Any]]:
    comparison, tables = evidence.comparison, evidence.tables
    fits = [("law set", f, tables.law_set) for f in comparison.law_fits.values()]
    if comparison.dense_fit is not None:
        fits.append(("dense runs", comparison.dense_fit, tables.dense))
    for where, f, runs in fits:
        criteria = information(f, runs.columns, runs["loss"])
        yield {
            "law": f.law.label if where == "law set" else "any count",
            "fitted on": where,
            "runs": f.n_rows,
            **{name: f.parameters.get(name) for name in _SHARED},
            "others": ", ".join(f"{n} {v:.3g}" for n, v in f.parameters.items() if n not in _SHARED),
            "objective": f.objective,
            "status": f.status,
            "AICc": criteria.aicc,
            "BIC": criteria.bic,
            "starts agreeing": f"{f.starts_agreeing} of {f.starts}",
        }


def _title(setting: Setting) -> str:
    lost = "".join(f"; {name} can't be fitted: {reason}" for name, reason in setting.left_out.items())
    return f"Mean |predicted − actual|, nats: {setting.title} ({setting.fitted_runs} runs fitted){lost}"


def _errors(setting: Setting, evidence: Evidence) -> Iterator[dict[str, Any]]:
    """One row a law: mean |error| with its interval, by sparsity, and how much worse than N_avg."""
    sigma = evidence.noise.overall
    for errors in setting.errors.values():
        overall, margin = errors.mean_abs(), errors.worse_than(setting.errors[N_AVG.name])
        row = {"law": LAWS[errors.law].label, "runs": len(errors.runs), **cells(overall, "mean |error|")}
        row |= {f"at {s:.0%}": value for s, value in by_sparsity(errors).items()}
        row |= cells(margin, "more than N_avg", "its low", "its high")
        if setting.name == IN_SAMPLE:
            luck = evidence.comparison.luck.get(errors.law)
            row |= {"by noise alone": luck.value if luck else None, "at most": luck.high if luck else None}
        reach = float(np.ptp(errors.runs["loss"]))  # 0 of a single run
        share = overall.value / reach if reach > 0 else None
        yield row | {"seeds' σ": sigma.sd if sigma else None, "share of range": share}


def by_sparsity(errors: Errors) -> dict[float, float]:
    """Mean |error| in nats of the runs of each sparsity."""
    sparsity = np.round(errors.runs["sparsity"], 6)
    return {float(s): errors.mean_abs(sparsity == s).value for s in np.unique(sparsity)}


def _noise(noise: Noise) -> Iterator[dict[str, Any]]:
    spreads: dict[str, Spread | None] = {
        "one loss": noise.overall,
        **{f"one loss at {s:.0%}": own for s, own in noise.by_sparsity.items()},
        "difference of two losses at one seed": noise.paired,
    }
    for name, spread in spreads.items():
        if spread is not None:
            own = {name: getattr(spread, name) for name in ("sd", "low", "high")}
            yield {"of": name, **own, "degrees of freedom": spread.dof, "configurations": spread.groups}
