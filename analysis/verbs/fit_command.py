"""python -m analysis fit: one law on any table."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from analysis.fits import fit_text, table_fit
from analysis.fits.fit import obstacle
from analysis.fits.fit_rows import FitRows
from analysis.laws.law import Law
from analysis.shown import plain_json, say
from analysis.tables import groups
from analysis.verbs.table_arguments import objective, read_laws
from repro.errors import UserError


def fit_table(given: argparse.Namespace) -> int:
    """Prints the fit, or one for each group; returns the exit code."""
    rows, [law] = read_laws(given, [given.law] if given.law else [])
    if given.by:
        return _fit_groups(given, law, rows)
    shown = _fitted(given, law, rows)
    if given.json:
        print(json.dumps(plain_json(shown), indent=1))
    else:
        print("\n".join(fit_text.lines(law, shown)))
    say(shown["warnings"])
    return 0


def _fit_groups(given: argparse.Namespace, law: Law, rows: FitRows) -> int:
    """Prints a line for each group of equal cells; a group that the law can't be fitted to is said and left out."""
    labels = np.array([str(cell).strip() for cell in groups.labels(rows, given.by)], dtype=object)
    found, left = {}, {}
    for label in dict.fromkeys(labels):
        own = rows.where(labels == label)
        reason = obstacle(law, own.columns, own.loss)
        if reason:
            left[label] = reason
            continue
        try:
            found[label] = {"by": given.by, "group": label} | _fitted(given, law, own)
        except UserError as error:
            raise error.but(found=f"{error.found} ({given.by} {label})") from None
    out = [f"{given.by} {label} is left out: {reason}" for label, reason in left.items()]
    if not found:
        raise UserError(
            "no group can be fitted", file=rows.source, key=f"--by {given.by}", found="; ".join(out[:5]),
            expected="more rows in a group than parameters",
        )  # fmt: skip
    if given.json:
        print(json.dumps(plain_json(list(found.values())), indent=1))
    else:
        _show_groups(law, given.by, found)
    of_rows = list(rows.warnings)
    say(
        [*of_rows, *out]
        + [
            f"{given.by} {label}: {text}"
            for label, one in found.items()
            for text in one["warnings"]
            if text not in of_rows
        ]
    )
    return 0


def _show_groups(law: Law, by: str, found: dict[str, dict[str, Any]]) -> None:
    print(f"{fit_text.left_side(law)} = {law.formula}   (one fit for each {by}; --json has intervals)")
    wide = max(len(by), *map(len, found))
    print(f"  {by:<{wide}} {'rows':>6} {'relative':>9} {'status':>10} " + " ".join(f"{n:>12}" for n in law.names))
    for label, one in found.items():
        values = " ".join(f"{value:>{max(12, len(n))}.6g}" for n, value in one["parameters"].items())
        print(f"  {label:<{wide}} {one['n_rows']:>6} {one['mean_relative_error']:>9.2%} {one['status']:>10} {values}")


def _fitted(given: argparse.Namespace, law: Law, rows: FitRows) -> dict[str, Any]:
    """All that is said of one fit, as it is saved."""
    return table_fit.fit_rows(
        law, rows, objective(given),
        resamples=given.bootstrap, rule=given.holdout, sigma=given.sigma, clustered=given.clusters is not None,
    ).as_json()  # fmt: skip
