"""Compares laws on the same runs of a sweep: fitted to one set, tested on another, with intervals from the noise of the seeds.

Each resample of the losses (`SeedResamples`) is fitted and predicted again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from analysis.findings import RESAMPLES
from analysis.findings.law_errors import Errors, Measure, SeedResamples
from analysis.fits.fit import FitResult, fit, obstacle
from analysis.laws.law import Array, Columns, Law
from analysis.laws.registry import LAWS, N_AVG, N_DENSE, N_EFFECTIVE, N_FINAL, RIVALS
from analysis.noise.spread import Spread
from analysis.tables.data import Mask, Runs, Tables

INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class Setting:
    """One way to test the laws: the runs they are fitted on and those they are judged on.

    Attributes:
        name: key. title: for readers. errors: by law, empty when `reason` says why it can't be done.
        fitted_runs: how many the fit saw (on average, where several parts are held out in turn).
        left_out: laws that what is left can't identify, with the reason.
    """

    name: str
    title: str
    fitted_runs: int
    errors: dict[str, Errors]
    reason: str | None
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Every setting, and the fits behind them.

    Attributes:
        law_fits: by law, fitted on the law set. obstacles: by law, why the others can't be.
        dense_fit: the power law on dense runs, where all counts are one; None with `dense_reason`.
        dense_draws: its resampled parameters (R, 5).
        law_draws: their resampled parameters (R, P), by law; empty where the noise of the seeds is unknown.
        luck: by law, the mean |error| in nats that the law would have on the law set if it were the truth and only the
            seeds' noise stood between the two; empty where that noise is unknown.
    """

    law_fits: dict[str, FitResult]
    obstacles: dict[str, str]
    law_draws: dict[str, Array]
    dense_fit: FitResult | None
    dense_reason: str | None
    dense_draws: Array | None
    luck: dict[str, Measure]
    settings: dict[str, Setting]


IN_SAMPLE, DENSE_TO_SPARSE = "in sample", "dense to sparse"
DENSE_TO_GRID, LAW_TO_GRID = "dense to grid", "law set to grid"
LARGEST, LONGEST, SPARSEST, FAMILIES = ("largest size", "longest budget", "highest sparsity", "each family")


def compare(
    tables: Tables,
    noise: Spread | None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    laws: tuple[Law, ...] = RIVALS,
    fits: Comparison | None = None,
    dense: Comparison | None = None,
    start: Array | None = None,
) -> Comparison:
    """Fits laws and judges them in every setting.

    Args:
        tables: the sweep.
        noise: the noise of the seeds; None leaves every interval out.
        resamples: of the seeds.
        seed: of the bootstrap's generator.
        laws: those that are fitted to the law set.
        fits: a comparison on tables whose law set and dense runs end at the same losses: its fits are taken over.
        dense: the same of the dense runs alone.
        start: where the fits of these laws start, instead of a grid: of simulated losses, at the truth.
    """
    seeds = SeedResamples(tables, noise, resamples, seed)
    found = _fitted(tables, seeds, laws, dense, start) if fits is None else fits
    settings = _settings(tables, seeds, found)
    return replace(found, settings={setting.name: setting for setting in settings})


def _fitted(
    tables: Tables, seeds: SeedResamples, laws: tuple[Law, ...], known: Comparison | None, start: Array | None
) -> Comparison:
    """The fits and their resamples, without settings; those of the dense runs are taken from `known`."""
    law_set, dense = tables.law_set, tables.dense
    obstacles = {law.name: reason for law in laws if (reason := obstacle(law, law_set.columns, law_set["loss"]))}
    law_fits = {
        law.name: fit(law, law_set.columns, law_set["loss"], start=start) for law in laws if law.name not in obstacles
    }
    law_draws = {name: draws for name, own in law_fits.items() if (draws := seeds.refit(law_set, own)) is not None}
    if known is not None:
        dense_reason, dense_fit, dense_draws = known.dense_reason, known.dense_fit, known.dense_draws
    else:
        dense_reason = obstacle(N_AVG, dense.columns, dense["loss"])
        dense_fit = None if dense_reason else fit(N_AVG, dense.columns, dense["loss"], start=start)
        dense_draws = None if dense_fit is None else seeds.refit(dense, dense_fit)
    luck = {name: measure for name, result in law_fits.items() if (measure := seeds.luck(law_set, result)) is not None}
    return Comparison(law_fits, obstacles, law_draws, dense_fit, dense_reason, dense_draws, luck, {})


def _settings(tables: Tables, seeds: SeedResamples, found: Comparison) -> list[Setting]:
    """The laws, fitted on the law set or on dense runs, judged on each set of runs."""
    law_set, dense, grid = tables.law_set, tables.dense, tables.grid
    law_draws, dense_fit, dense_draws = found.law_draws, found.dense_fit, found.dense_draws
    on_law_set = {name: (result.theta, law_draws.get(name)) for name, result in found.law_fits.items()}
    on_dense: dict[str, tuple[Array, Array | None]] = {}
    if dense_fit is not None:
        # On dense runs all counts are one, so all laws are one fit; only w has to come from the law set.
        on_dense = {law.name: (dense_fit.theta, dense_draws) for law in (N_AVG, N_FINAL, N_DENSE)}
        if N_EFFECTIVE.name in found.law_fits:
            share, shares = found.law_fits[N_EFFECTIVE.name].theta[5:], law_draws.get(N_EFFECTIVE.name)
            draws = None if shares is None or dense_draws is None else np.hstack([dense_draws, shares[:, 5:]])
            on_dense[N_EFFECTIVE.name] = np.concatenate([dense_fit.theta, share]), draws

    fresh = grid.where(~np.isin(grid["run_id"].astype(str), law_set["run_id"].astype(str)))
    by_law_set = partial(_setting, seeds, law_set, on_law_set, found.obstacles.get(N_AVG.name))
    by_dense, sparse = partial(_setting, seeds, dense, on_dense, found.dense_reason), tables.sparse_at_paper_schedule
    return [
        by_law_set(IN_SAMPLE, "fitted and judged on the law set", law_set),
        by_dense(DENSE_TO_SPARSE, "fitted on dense runs, judged on sparse runs at 25/50/25", sparse),
        by_dense(DENSE_TO_GRID, "fitted on dense runs, judged on the whole schedule grid", grid),
        by_law_set(LAW_TO_GRID, "fitted on the law set, judged on the rest of the schedule grid", fresh),
    ]


def leave_out(tables: Tables, noise: Spread | None, *, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[Setting]:
    """The law set without its extremes, or without each family in turn, judged on what was left out.

    Args: see `compare`; the noise drawn is the same.
    """
    law_set = tables.law_set
    if not len(law_set):
        return
    seeds = SeedResamples(tables, noise, resamples, seed)
    ratio = np.round(law_set["dense_tokens"] / law_set["N_prunable"], 1)
    families = [law_set["family"] == name for name in dict.fromkeys(law_set["family"])]
    for name, title, parts in (
        (LARGEST, "the largest size", [law_set["N_prunable"] == law_set["N_prunable"].max()]),
        (LONGEST, "the most tokens per parameter", [ratio > 0.7 * ratio.max()]),
        (SPARSEST, "the highest sparsity", [law_set["sparsity"] == law_set["sparsity"].max()]),
        (FAMILIES, "each family (size and budget) in turn", families),
    ):
        yield _without(seeds, name, f"law set without {title}, judged on it", law_set, parts)


def _without(seeds: SeedResamples, name: str, title: str, runs: Runs, parts: list[Mask]) -> Setting:
    judged = runs.where(np.concatenate([np.flatnonzero(part) for part in parts]))
    fitted = round(float(np.mean([len(runs) - part.sum() for part in parts])))
    errors, left_out = {}, {}
    for law in RIVALS:
        predicted, drawn = [], []
        for part in parts:
            train, test = runs.where(~part), runs.where(part)
            if reason := obstacle(law, train.columns, train["loss"]):
                left_out[law.name] = reason
                break
            result = fit(law, train.columns, train["loss"])
            draws, losses = seeds.refit(train, result), seeds.losses(test)
            predicted.append(result.predict(test.columns))
            drawn.append(None if draws is None or losses is None else law.predict(draws, _columns(test)) - losses)
        else:
            known = [d for d in drawn if d is not None]
            errors[law.name] = Errors(
                law.name, judged, np.concatenate(predicted), np.hstack(known) if len(known) == len(parts) else None
            )
    if N_AVG.name not in errors:
        return Setting(name, title, fitted, {}, left_out.get(N_AVG.name))
    return Setting(name, title, fitted, errors, None, left_out)


def _setting(
    seeds: SeedResamples,
    fitted: Runs,
    parameters: dict[str, tuple[Array, Array | None]],
    reason: str | None,
    name: str,
    title: str,
    judged: Runs,
) -> Setting:
    if reason is None and not len(judged):
        reason = "no run to judge on"
    if reason is not None:
        return Setting(name, title, len(fitted), {}, reason)
    losses, columns = seeds.losses(judged), _columns(judged)
    errors = {}
    for name_of_law, (theta, resampled) in parameters.items():
        law = LAWS[name_of_law]
        draws = None if losses is None or resampled is None else law.predict(resampled, columns) - losses
        errors[law.name] = Errors(law.name, judged, law.predict(theta, columns), draws)
    return Setting(name, title, len(fitted), errors, None)


def _columns(runs: Runs) -> Columns:
    return {name: runs[name] for law in RIVALS for name in law.columns}
