"""python -m analysis fit: one law on any table."""

from __future__ import annotations

import argparse
import json

from analysis.fits import group_answers, table_fit
from analysis.fits.fit_rows import FitRows
from analysis.fits.table_fit import TableFit
from analysis.shown import plain_json, say
from analysis.verbs.table_arguments import objective, read_laws


def fit_table(given: argparse.Namespace) -> int:
    """Prints the fit, or one for each group; returns the exit code."""
    rows, [law] = read_laws(given, [given.law] if given.law else [])
    kind = objective(given)

    def fitted(own: FitRows) -> TableFit:
        return table_fit.fit_rows(
            law, own, kind,
            resamples=given.bootstrap, rule=given.holdout, sigma=given.sigma, clustered=given.clusters is not None,
        )  # fmt: skip

    found = group_answers.by_group(rows, given.by, fitted, table_fit.lines_of_groups) if given.by else fitted(rows)
    print(json.dumps(plain_json(found.as_json()), indent=1) if given.json else "\n".join(found.lines()))
    say(found.warnings)
    return 0
