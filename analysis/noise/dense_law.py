"""Whether dense runs follow E + A/N^alpha + B/D^beta: its errors on them, in sample and leaving one out, and E."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.fits.fit import FitResult, fit, obstacle, refit
from analysis.fits.outcome import Interval, percentiles
from analysis.fits.resample import Resamples
from analysis.laws.law import Array, Columns
from analysis.laws.registry import N_AVG
from analysis.noise.configurations import Configuration
from analysis.noise.spread import Spread

RESAMPLES = 1000
SHARE = 0.5  # of the range of the dense losses, which E's interval may be wide
RULE = f"""
The law is fitted to the mean loss over seeds of every dense configuration, partners among them, each counted once; of several that
differ in their recipe alone, at one N and D, the one of least mean loss stands for all. E is identified where
no parameter ends at a bound and E's 95% interval excludes 0, ends under the least loss and is narrower than {SHARE:.0%} of the range of
these losses. Intervals are a parametric bootstrap's; its noise is what the law leaves over (corrected for its parameters), or the
seeds' noise of a mean where that is larger.
""".strip().replace("\n", " ")


@dataclass(frozen=True)
class DenseLaw:
    """The law on the dense configurations of a sweep; nothing but `reason` and the counts where it can't be fitted.

    Attributes:
        configurations, runs: how many it is fitted on.
        sizes: least and largest N. ratios: least and largest D / N. losses: least and largest mean loss, nats.
        result: the fit.
        error: mean |error| in sample, nats. left_out: mean |error| on each configuration without it.
        intervals: 95%, by parameter.
        reason: why there is no fit. reason_left_out: why there is no error on what is left out.
        not_identified: why E isn't identified; None where it is.
    """

    configurations: int
    runs: int
    sizes: Interval | None = None
    ratios: Interval | None = None
    losses: Interval | None = None
    result: FitResult | None = None
    error: float | None = None
    left_out: float | None = None
    intervals: dict[str, Interval | None] | None = None
    reason: str | None = None
    reason_left_out: str | None = None
    not_identified: str | None = None


def examine(configurations: Sequence[Configuration], noise: Spread | None) -> DenseLaw:
    """Fits the law to the dense ones among `configurations`; RULE says how."""
    dense = tuned(configurations)
    if not dense:
        return DenseLaw(0, 0, reason="no dense run", not_identified="no dense run")
    count = sum(len(c.runs) for c in dense)
    columns = {name: np.array([c.runs[name][0] for c in dense]) for name in N_AVG.columns}
    loss = np.array([c.losses.mean() for c in dense])
    spans = _span(columns["N_avg"]), _span(columns["D"] / columns["N_avg"]), _span(loss)
    if reason := obstacle(N_AVG, columns, loss):
        return DenseLaw(len(dense), count, *spans, reason=reason, not_identified=reason)
    result = fit(N_AVG, columns, loss)
    left_out = _left_out(columns, loss)
    off = result.predict(columns) - loss
    squares, left = float(np.sum(off**2)), len(loss) - len(N_AVG.parameters)
    spread = Spread.from_squares(max(squares, 1e-18), left, 1)
    if noise is not None:
        of_mean = noise.sd / np.sqrt(np.mean([len(c.runs) for c in dense]))
        if of_mean > spread.sd:
            spread = Spread.from_squares(of_mean**2 * noise.dof, noise.dof, noise.groups)
    drawn = Resamples.parametric(spread.draws((RESAMPLES, len(loss)), np.random.default_rng(0)))
    draws = refit(N_AVG, columns, drawn.losses(result.predict(columns)), result)
    intervals = {name: percentiles(own) for name, own in zip(N_AVG.names, draws.T, strict=True)}
    return DenseLaw(
        len(dense),
        count,
        *spans,
        result,
        float(np.abs(off).mean()),
        left_out if isinstance(left_out, float) else None,
        intervals,
        reason_left_out=left_out if isinstance(left_out, str) else None,
        not_identified=_not_identified(result, intervals["E"], loss),
    )


def tuned(configurations: Sequence[Configuration]) -> list[Configuration]:
    """The dense configurations; of those with equal shape and tokens, the one with the least mean loss."""
    best: dict[tuple[float, ...], Configuration] = {}
    for own in configurations:
        key = tuple(float(own.runs[name][0]) for name in ("N_prunable", "N_total", "D"))
        if own.kind != "sparse" and (key not in best or own.losses.mean() < best[key].losses.mean()):
            best[key] = own
    return list(best.values())


def _span(values: Array) -> Interval:
    return float(values.min()), float(values.max())


def _left_out(columns: Columns, loss: Array) -> float | str:
    """Mean |error| on each row from a fit to the others, or why one of them can't be fitted."""
    errors = []
    for i in range(len(loss)):
        kept = np.arange(len(loss)) != i
        train = {name: values[kept] for name, values in columns.items()}
        if reason := obstacle(N_AVG, train, loss[kept]):
            return f"without one of the configurations: {reason}"
        predicted = fit(N_AVG, train, loss[kept]).predict({name: values[i : i + 1] for name, values in columns.items()})
        errors.append(abs(float(predicted[0] - loss[i])))
    return float(np.mean(errors))


def _not_identified(result: FitResult, own: Interval | None, loss: Array) -> str | None:
    if result.bounds_hit:
        return f"at a bound: {', '.join(result.bounds_hit)}"
    if own is None:
        return "E has no finite interval"
    if own[0] <= 1e-6:
        return "E's interval holds 0"
    if own[1] >= loss.min():
        return "E's interval reaches the least loss"
    share = (own[1] - own[0]) / float(np.ptp(loss))
    return f"E's interval is as wide as {share:.0%} of the range of the losses" if share > SHARE else None
