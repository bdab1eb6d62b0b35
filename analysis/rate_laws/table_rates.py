"""The best learning rate and batch of each budget of a table, and their laws: what `rates` prints and the library returns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.rate_laws import rate_powers, rate_surface
from analysis.rate_laws.learning_rates import said
from analysis.rate_laws.rate_powers import RatePower
from analysis.rate_laws.rate_surface import NEAR, Optimum, RateCell, RateSurfaces
from analysis.tables import cells
from analysis.tables.budgets import Budgets, shown
from analysis.tables.table import Table
from repro.errors import UserError


@dataclass(frozen=True)
class TableRates:
    """The best learning rates and batches from the rows of a table. `laws`: one per axis. `points`: budgets for which values are wanted."""

    rows: Table
    found: RateSurfaces
    laws: tuple[RatePower, ...]
    points: tuple[Mapping[str, float], ...]

    @property
    def warnings(self) -> list[str]:
        return list(self.rows.warnings)

    def as_json(self) -> dict[str, Any]:
        found = self.found
        return {
            "source": self.rows.source,
            "warnings": self.warnings,
            "noise": None if found.noise is None else {"sd": found.noise.sd.tolist(), "source": found.noise.source},
            "no_noise": found.reason,
            "cells": [_cell(cell, found) for cell in found.cells],
            "laws": {
                law.axis: {
                    "formula": law.formula if law.terms else None,
                    "exponents": {name: {"value": value, "interval": ends} for name, (value, ends) in law.exponents().items()},
                    "log_c": float(law.values[0]) if law.terms else None,
                    "scatter": law.scatter,
                    "cells": law.used,
                    "left_out": law.left_out,
                    "beside_an_edge": law.beside,
                    "reason": law.reason,
                }
                for law in self.laws
            },
            "at": [
                {"budget": point} | {law.axis: dict(zip(("value", "interval", "extrapolated"), law.at(point), strict=True)) for law in self.laws if law.terms}
                for point in self.points
            ],
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        found, noise = self.found, self.found.noise
        runs = sum(cell.runs for cell in found.cells)
        known = (
            f"a run's sd is {noise.sd.min():.3g} to {noise.sd.max():.3g} nats ({noise.source})"
            if noise
            else f"no intervals: {found.reason}"
        )
        yield f"{len(found.cells)} budgets, {runs} runs of {self.rows.source}; {known}"
        for cell in found.cells:
            what = ", ".join(_best(axis, best) for axis, best in cell.optimum.items()) or f"none: {cell.reason}"
            loss = "" if cell.loss is None else f"; loss {cell.loss:.4f}"
            yield f"  {shown(found.budgets.at(cell.budget))}: {what}{loss}, {cell.used} of {cell.settings} settings"
        for law in self.laws:
            if not law.terms:
                yield f"no law of {law.axis}*: {law.reason}"
                continue
            parts = ", ".join(
                f"{name} to the {value:.3g}{said(ends)}" for name, (value, ends) in law.exponents().items()
            )
            off = (
                ""
                if law.scatter is None
                else f", which they follow to {law.scatter:.3g} times their noise"
                if noise
                else f", scatter {law.scatter:.3g} in log"
            )
            yield f"{law.formula}: {parts}, from {law.used} budgets{off}"
            if law.left_out:
                yield f"left out of it, their best not known: {', '.join(law.left_out)}"
            if law.beside:
                yield f"at the best of the rest that was tried, which lies at an edge: {', '.join(law.beside)}"
            for point in self.points:
                value, ends, far = law.at(point)
                yield f"{law.axis}* at {shown(point)}: {value:.3g}{said(ends)}{f'   {far}' if far else ''}"


def best_rates(
    rows: Table,
    *,
    sigma: float | None,
    resamples: int,
    near: float = NEAR,
    at: Sequence[Mapping[str, str]] = (),
) -> TableRates:
    """The best rates and batches of the rows.

    Args:
        rows: with N and D, or C, with lr, and with batch where there is one; see `budgets.read`.
        sigma: a run's standard deviation in nats, where it is known. resamples: draws behind intervals.
        near: share of a budget's least loss by which a run may be over it and still take part.
        at: budgets at which the laws are wanted, numbers as text by the names N and D, or C.

    Raises:
        UserError: no rates, too few runs of every budget, or a budget that is none.
    """
    if "lr" not in rows.columns:
        raise UserError(
            "no learning rate in this table", file=rows.source, key="columns.lr", expected="lr; or say --columns lr=ITS_NAME"
        )  # fmt: skip
    axes = {name: rows.columns[name] for name in rate_surface.AXES if name in rows.columns}
    budgets = Budgets.of(rows.columns)
    found = rate_surface.find(
        axes, rows.loss, budgets, sigma=sigma, resamples=resamples, rng=np.random.default_rng(0), near=near
    )
    if not any(cell.optimum for cell in found.cells):
        raise UserError(
            "too few runs of every budget", file=rows.source, found=f"{found.cells[0].reason}, at {shown(budgets.at(0))}",
            expected="three rates of one N and D or more, and six settings where batches vary too",
        )  # fmt: skip
    laws = tuple(rate_powers.law(found, axis) for axis in axes)
    return TableRates(rows, found, laws, tuple(_point(named, budgets, rows.source) for named in at))


def _point(named: Mapping[str, str], budgets: Budgets, source: str) -> dict[str, float]:
    """A budget. Raises UserError for other names than the table's, or what is no positive number."""
    wanted = tuple(name for name in ("N", "D") if name in budgets.columns) or ("C",)
    if set(named) != set(wanted):
        raise UserError(
            "not a budget of this table", file=source, key="--target",
            found=",".join(f"{name}={held}" for name, held in named.items()),
            expected=",".join(f"{n}=…" for n in wanted),
        )  # fmt: skip
    found = {}
    for name, held in named.items():
        found[name] = cells.number_or_nan(held, cells.kind_of(name))
        if not 0 < found[name] < math.inf:
            raise UserError("not a positive number", key=f"--target {name}", found=held, expected="NAME=NUMBER")
    return found if "C" in found else found | {"C": 6 * found["N"] * found["D"]}


def _cell(cell: RateCell, found: RateSurfaces) -> dict[str, Any]:
    optimum = {
        axis: {name: value for name, value in vars(best).items() if name != "draws"}
        for axis, best in cell.optimum.items()
    }
    own = {name: value for name, value in vars(cell).items() if name not in ("budget", "optimum")}
    return {"at": found.budgets.at(cell.budget)} | own | {"optimum": optimum}


def _best(axis: str, best: Optimum) -> str:
    return f"{axis} {best.value:.3g}{said(best.interval) if best.interval else f' ({best.no_interval})'}"
