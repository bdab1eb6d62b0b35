"""python -m analysis isoflop: rows of a table, the exponents that they show, and what is printed of them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.fits.envelope import envelope
from analysis.fits.isoflop import TOLERANCE, Frontier, isoflop
from analysis.fits.outcome import positive_sigma
from analysis.shown import plain_json, say
from analysis.tables import readers, row_flags, table
from analysis.tables.table import Table
from analysis.verbs.table_arguments import columns_given, say_rows
from repro.errors import UserError

HOW = {
    "parabola": "minima of a parabola in log N for each budget",
    "free": "minima of one shape for all budgets, a parabola and a smooth departure from it as large as the rows ask for",
    "envelope": "where the envelope of the training curves passes from one size to the next",
}


def isoflop_table(given: argparse.Namespace) -> int:
    """Prints the exponents; returns the exit code."""
    _check(given)
    rows = _read(given)
    size, loss = rows["N"], rows["loss"]
    flops = rows["C"] if "C" in rows.columns else 6 * size * rows["D"]
    tokens = rows["D"] if "D" in rows.columns else flops / (6 * size)
    if given.method == "envelope":
        clusters = rows.clusters if given.clusters else None
        found = envelope(size, flops, tokens, loss, clusters, sigma=given.sigma)
    else:
        tolerance = TOLERANCE if given.tolerance is None else given.tolerance
        found = isoflop(
            size, flops, tokens, loss, method=given.method, tolerance=tolerance, sigma=given.sigma
        )  # fmt: skip
    shown = _as_json(found) | {"n_rows": len(size), "source": rows.source, **row_flags.as_json(rows.flags)}
    out = sum(one.left_out is not None for one in found.best)
    reasons = Counter(one.left_out for one in found.best if one.left_out)
    told = [f"left out: {out} of {len(found.best)} {_budgets(found)}: {_listed(reasons)}"] if out else []
    shown["warnings"] = [*rows.warnings, *told, *found.warnings]
    print(json.dumps(plain_json(shown), indent=1)) if given.json else _show(found, shown)
    if given.out:
        _draw(found, given)
    say(shown["warnings"])
    return 0


def _check(given: argparse.Namespace) -> None:
    """Raises UserError for options that are out of range, or that the method has no use for."""
    if given.sigma is not None:
        positive_sigma(given.sigma)
    if given.tolerance is not None:
        if given.method == "envelope":
            raise UserError(
                "an envelope has no budgets",
                key="--tolerance",
                found=given.tolerance,
                expected="--method parabola or free",
            )
        if not (math.isfinite(given.tolerance) and given.tolerance >= 0):
            raise UserError(
                "tolerance out of range", key="--tolerance", found=given.tolerance, expected="0 or more, and finite"
            )
    if given.clusters and given.method != "envelope":
        raise UserError("rows are taken one by one", key="--clusters", found=given.method, expected="--method envelope")


def _read(given: argparse.Namespace) -> Table:
    """The rows; positive in N, the loss, and those of C and D that are used."""
    columns = columns_given(given.columns)
    raw = readers.read(given.table)
    flops = "C" in columns or "C" in raw.names
    tokens = "D" in columns or (not flops and "D" in raw.names)
    wanted = ["loss", "N", *(["C"] if flops or not tokens else []), *(["D"] if tokens else [])]
    rows = table.read(raw, [], columns=columns, exclude=given.exclude, clusters=given.clusters, also=wanted)
    held = {"loss": rows.loss, **rows.columns}
    for name in wanted:
        for i in np.flatnonzero(held[name] <= 0)[:1]:
            row = int(rows.numbers[i])
            raise UserError(
                "not a positive number", file=rows.source, key=rows.names[name], found=f"{held[name][i]:g} in row {row}",
                expected=f"more than 0; or --exclude row={row}",
            )  # fmt: skip
    say_rows(rows, given.exclude)
    return dataclasses.replace(rows, columns=held)


def _as_json(found: Frontier) -> dict[str, Any]:
    line = found.line
    return {
        "method": found.method,
        "how": HOW[found.method],
        "a_N": dataclasses.asdict(found.a_N),
        "a_D": dataclasses.asdict(found.a_D),
        "through": {"C": math.exp(line.middle), "N": math.exp(line.level)},
        "sigma": found.noise,
        "sigma_given": found.given,
        "scatter": line.scatter,
        "scatter_beyond_noise": line.scattered,
        "budgets": [dataclasses.asdict(one) for one in found.best],
    }


def _show(found: Frontier, shown: Mapping[str, Any]) -> None:
    print(f"{found.method}: {shown['how']}   ({shown['n_rows']} rows of {shown['source']})")
    for name, what, own in (("a_N", "N_opt", found.a_N), ("a_D", "D_opt", found.a_D)):
        print(f"  {name} {own.value:8.4f}   95% [{own.low:.4f}, {own.high:.4f}]   {what} ∝ C^{name}")
    print(f"  N_opt = {shown['through']['N']:.4g} · (C / {shown['through']['C']:.4g})^{found.a_N.value:.4f}")
    if found.noise is not None:
        print(f"  σ of a loss {found.noise:.3g} nats, {'given' if found.given else 'from what the curves leave over'}")
    print(f"  {'C':>10} {'rows':>5} {'N_opt':>10} {'95%':>24} {'D_opt':>10} {'loss':>8}")
    for one in found.best:
        if one.N is None or one.D is None or one.loss is None:
            print(f"  {one.C:>10.3g} {one.rows:>5} left out: {one.left_out}")
            continue
        ends = "" if one.low is None or one.high is None else f"[{one.low:.4g}, {one.high:.4g}]"
        print(f"  {one.C:>10.3g} {one.rows:>5} {one.N:>10.4g} {ends:>24} {one.D:>10.4g} {one.loss:>8.4f}")


def _draw(found: Frontier, given: argparse.Namespace) -> None:
    from analysis import figures
    from analysis.figures import isoflop as figure
    from repro.store.folder import Folder

    folder = Folder.open(given.out)
    folder.check_writable(key="--out")
    drawn = figures.write(figure, found, folder)
    print(f"{folder}/{drawn.name}.pdf .png .csv", file=sys.stderr if given.json else sys.stdout)


def _budgets(found: Frontier) -> str:
    return "passages" if found.method == "envelope" else "budgets"


def _listed(reasons: Mapping[str, int], most: int = 3) -> str:
    some = [f"{reason} ({count})" for reason, count in list(reasons.items())[:most]]
    return "; ".join(some) + (f"; and {len(reasons) - most} more" if len(reasons) > most else "")
