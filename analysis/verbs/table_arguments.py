"""What the arguments of `fit` and `compare` ask for: rows of a table, laws, an objective."""

from __future__ import annotations

import argparse
import math
import re
import sys

from analysis.fits.objective import Objective
from analysis.fits.outcome import enough_resamples, positive_sigma
from analysis.fits.resample import CLUSTERS
from analysis.laws.law import Law
from analysis.laws.registry import LAWS
from analysis.tables import row_flags, table
from repro.errors import UserError


def read_rows(given: argparse.Namespace, names: list[str]) -> table.Table:
    """The rows that the arguments name. Prints what is odd about single ones."""
    if given.sigma is not None:
        positive_sigma(given.sigma)
    if given.bootstrap:
        enough_resamples(given.bootstrap)
    laws = _laws(names)
    if not names or len(set(names)) < len(names):
        raise UserError("no law, or one twice", key="--laws", found=given.laws, expected="names, each once")
    needed = {name for law in laws for name in law.columns}
    by = (given.holdout or "").split(":")[-1]
    rows = table.read(
        given.table,
        laws,
        columns=_columns(given.columns),
        exclude=given.exclude,
        clusters=given.clusters,
        also=[by] if by and by not in ("clusters", "loss", *needed) else [],
    )
    for line in row_flags.summary(rows.flags):
        print(line, file=sys.stderr)
    return rows


def objective(given: argparse.Namespace) -> Objective:
    """The objective of a fit. Raises UserError for a threshold that the objective hasn't got, or that is no positive number."""
    if given.delta is None:
        return Objective(given.objective)
    if given.objective in ("lad", "wls"):
        raise UserError(
            "an objective without a threshold", key="--delta", found=given.objective, expected="huber_log, huber"
        )
    if not (math.isfinite(given.delta) and given.delta > 0):
        raise UserError("threshold out of range", key="--delta", found=given.delta, expected="more than 0, and finite")
    return Objective(given.objective, given.delta)


def unused_sigma(sigma: float | None, method: str | None) -> list[str]:
    """What to say of a standard deviation of the seeds that no interval was drawn from."""
    used = sigma is None or method == "parametric"
    return (
        [] if used else [f"no interval uses --sigma: it is for a bootstrap of fewer than {CLUSTERS} rows or clusters"]
    )


def _laws(names: list[str]) -> list[Law]:
    """Laws of the registry. Raises UserError for a name that isn't one."""
    for name in names:
        if name not in LAWS:
            raise UserError("no such law", key="law", found=name, expected=", ".join(LAWS))
    return [LAWS[name] for name in names]


def _columns(words: list[str]) -> dict[str, str]:
    """Columns by the laws' names. Raises UserError for a pair that is none, and for a name that stands there twice."""
    columns: dict[str, str] = {}
    for text in words:
        for pair in re.findall(r'(?:[^,"]|"[^"]*")+', text):
            name, sign, held = (part.strip() for part in pair.partition("="))
            held = held[1:-1] if len(held) > 1 and held[0] == held[-1] == '"' else held
            if not sign or not held or not name:
                raise UserError("not a column", key="--columns", found=pair, expected="NAME=COLUMN,…")
            if name in columns:
                raise UserError(
                    "a name that stands there twice", key="--columns", found=f"{name}={columns[name]}, {name}={held}",
                    expected="one column",
                )  # fmt: skip
            columns[name] = held
    return columns
