"""`python -m analysis rates`: the best learning rate and batch of each budget of any table, and how they go with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from repro.console.options import real

if TYPE_CHECKING:
    from analysis.rates.rate_powers import RatePower
    from analysis.rates.rate_surface import Optimum, RateCell, RateSurfaces

EXAMPLES = """\
examples:
  python -m analysis rates runs.csv --columns lr=learning_rate,batch=batch_size,N=params,D=tokens,loss=val_loss
  python -m analysis rates runs.csv --at N=7e9,D=1.4e11 --json --out figures
  python -m analysis rates results/lr --columns N=N_prunable --exclude 'sparsity>0'
One row a run; a budget is rows of one N and one D. Without a column batch, of the learning rate alone. `analysis lr` reads the
studies of a sweep of ours, with sparse runs; this reads any table.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb rates."""
    from analysis.verbs import budget_arguments

    command = verbs.add_parser(
        "rates",
        description="The best learning rate and batch of each size and number of tokens, and their power laws.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    budget_arguments.add(command, "lr=…,batch=…,N=…,D=…")
    command.add_argument(
        "--near",
        type=real("a share over 0", 0.0, 1.0, open_below=True),
        default=0.02,
        metavar="SHARE",
        help="share of a budget's least loss by which a run may be over it and still take part (%(default)s)",
    )
    command.add_argument(
        "--at", metavar="N=…,D=…", action="append", default=[], help="a budget to say the best rate and batch of"
    )
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the cells and laws; returns the exit code."""
    import numpy as np

    from analysis.rates import rate_powers, rate_surface
    from analysis.shown import plain_json, say
    from analysis.tables.budgets import Budgets, shown
    from analysis.verbs import budget_arguments
    from repro.errors import UserError

    folder = budget_arguments.place(given)
    rows = budget_arguments.read(given, optional=("lr", "batch"))
    if "lr" not in rows.columns:
        raise UserError(
            "no learning rate in this table",
            file=rows.source,
            key="columns.lr",
            expected="lr; or say --columns lr=ITS_NAME",
        )
    axes = {name: rows.columns[name] for name in rate_surface.AXES if name in rows.columns}
    budgets = Budgets.of(rows.columns)
    found = rate_surface.find(
        axes,
        rows.loss,
        budgets,
        sigma=given.sigma,
        resamples=given.bootstrap,
        rng=np.random.default_rng(0),
        near=given.near,
    )
    if not any(cell.optimum for cell in found.cells):
        raise UserError(
            "too few runs of every budget", file=rows.source, found=f"{found.cells[0].reason}, at {shown(budgets.at(0))}",
            expected="three rates of one N and D or more, and six settings where batches vary too",
        )  # fmt: skip
    laws = tuple(rate_powers.law(found, axis) for axis in axes)
    points = [_point(text, budgets, rows.source) for text in given.at]
    if given.json:
        print(json.dumps(plain_json(as_json(rows.source, found, laws, points)), indent=1))
    else:
        print("\n".join(lines(rows.source, found, laws, points)))
    if folder is not None:
        from analysis import figures
        from analysis.figures import rates

        figures.write(rates, (found, laws), folder)
    say(rows.warnings)
    return 0


def _point(text: str, budgets: Any, source: str) -> dict[str, float]:
    """A budget of --at. Raises UserError for other names than the table's, or what is no positive number."""
    from analysis.tables import cells
    from analysis.verbs.table_arguments import columns_given
    from repro.errors import UserError

    named, wanted = columns_given([text]), tuple(name for name in ("N", "D") if name in budgets.columns) or ("C",)
    if set(named) != set(wanted):
        raise UserError(
            "not a budget of this table",
            file=source,
            key="--at",
            found=text,
            expected=",".join(f"{n}=…" for n in wanted),
        )
    found = {}
    for name, held in named.items():
        try:
            found[name] = cells.number(held, cells.kind_of(name))
        except cells.NoNumber:
            found[name] = 0.0
        if not 0 < found[name] < float("inf"):
            raise UserError("not a positive number", key=f"--at {name}", found=held, expected="NAME=NUMBER")
    return found if "C" in found else found | {"C": 6 * found["N"] * found["D"]}


def as_json(
    source: str, found: RateSurfaces, laws: tuple[RatePower, ...], points: list[dict[str, float]]
) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "source": source,
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
            for law in laws
        },
        "at": [
            {"budget": point} | {law.axis: dict(zip(("value", "interval", "extrapolated"), law.at(point), strict=True)) for law in laws if law.terms}
            for point in points
        ],
    }  # fmt: skip


def _cell(cell: RateCell, found: RateSurfaces) -> dict[str, Any]:
    return {
        "at": found.budgets.at(cell.budget),
        "runs": cell.runs,
        "settings": cell.settings,
        "used": cell.used,
        "loss": cell.loss,
        "reason": cell.reason,
        "optimum": {
            axis: {"value": best.value, "interval": best.interval, "edge": best.edge, "no_interval": best.no_interval}
            for axis, best in cell.optimum.items()
        },
    }


def lines(
    source: str, found: RateSurfaces, laws: tuple[RatePower, ...], points: list[dict[str, float]]
) -> Iterator[str]:
    """The same as text."""
    from analysis.rates import bottoms
    from analysis.tables.budgets import shown

    runs = sum(cell.runs for cell in found.cells)
    noise = found.noise
    said = (
        f"a run's sd is {noise.sd.min():.3g} to {noise.sd.max():.3g} nats ({noise.source})"
        if noise
        else f"no intervals: {found.reason}"
    )
    yield f"{len(found.cells)} budgets, {runs} runs of {source}; {said}"
    for cell in found.cells:
        what = ", ".join(_best(axis, best) for axis, best in cell.optimum.items()) or f"none: {cell.reason}"
        loss = "" if cell.loss is None else f"; loss {cell.loss:.4f}"
        yield f"  {shown(found.budgets.at(cell.budget))}: {what}{loss}, {cell.used} of {cell.settings} settings"
    for law in laws:
        if not law.terms:
            yield f"no law of {law.axis}*: {law.reason}"
            continue
        parts = ", ".join(
            f"{name} to the {value:.3g}{bottoms.said(ends)}" for name, (value, ends) in law.exponents().items()
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
        for point in points:
            value, ends, far = law.at(point)
            yield f"{law.axis}* at {shown(point)}: {value:.3g}{bottoms.said(ends)}{f'   {far}' if far else ''}"


def _best(axis: str, best: Optimum) -> str:
    if best.interval is not None:
        return f"{axis} {best.value:.3g} [{best.interval[0]:.3g}, {best.interval[1]:.3g}]"
    return f"{axis} {best.value:.3g} ({best.no_interval})"
