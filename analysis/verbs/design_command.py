"""python -m analysis design: which further runs narrow a prediction most for their price."""

from __future__ import annotations

import argparse
import json

from analysis.fits import table_design
from analysis.fits.table_design import DesignTask
from analysis.shown import plain_json, say
from analysis.tables import readers
from analysis.verbs.table_arguments import objective, read_laws


def choose(given: argparse.Namespace) -> int:
    """Prints single runs by price and the best runs by number; returns the exit code."""
    rows, [law] = read_laws(given, [given.law] if given.law else [])
    candidates = None if given.candidates is None else readers.read(given.candidates)
    task = DesignTask(tuple(given.target.split(",")), given.budget, given.runs, given.largest, candidates, given.price)
    found = table_design.design_on(law, rows, task, objective(given), sigma=given.sigma, resamples=given.bootstrap)
    print(json.dumps(plain_json(found.as_json()), indent=1) if given.json else "\n".join(found.lines()))
    say(found.warnings)
    return 0
