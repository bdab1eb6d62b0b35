"""python -m analysis compare: which law predicts better on held-out rows of any table."""

from __future__ import annotations

import argparse
import json

from analysis.fits import table_comparison
from analysis.shown import plain_json, say
from analysis.verbs.table_arguments import objective, read_laws


def compare_laws(given: argparse.Namespace) -> int:
    """Prints the comparison; returns the exit code."""
    rows, laws = read_laws(given, given.law)
    found = table_comparison.compare_on(
        laws, rows, objective(given), rule=given.holdout, resamples=given.bootstrap, sigma=given.sigma
    )
    if given.json:
        print(json.dumps(plain_json(found.as_json()), indent=1))
    else:
        print("\n".join(found.lines()))
    say(found.warnings)
    return 0
