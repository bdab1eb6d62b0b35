"""python -m analysis isoflop: rows of a table, and the exponents that they show."""

from __future__ import annotations

import argparse
import json
import sys

from analysis.fits import group_answers, table_frontier
from analysis.fits.isoflop import Frontier
from analysis.fits.table_frontier import Asked, TableFrontier
from analysis.shown import plain_json, say
from analysis.tables import readers
from analysis.tables.table import Table
from analysis.verbs.table_arguments import columns_given, figure_of_one, say_rows


def isoflop_table(given: argparse.Namespace) -> int:
    """Prints the exponents; returns the exit code."""
    figure_of_one(given)
    asked = Asked(given.method, given.tolerance, given.sigma, given.clusters, given.bootstrap)
    columns = columns_given(given.columns)
    rows = table_frontier.read(readers.read(given.table), columns, given.exclude, given.clusters)
    say_rows(rows, given.exclude)

    def answered(own: Table) -> TableFrontier:
        return table_frontier.frontier(own, asked)

    shown = (
        group_answers.by_group(rows, given.by, answered, table_frontier.lines_of_groups) if given.by else answered(rows)
    )
    print(json.dumps(plain_json(shown.as_json()), indent=1) if given.json else "\n".join(shown.lines()))
    if given.out and isinstance(shown, TableFrontier):
        _draw(shown.found, given)
    say(shown.warnings)
    return 0


def _draw(found: Frontier, given: argparse.Namespace) -> None:
    from analysis import figures
    from analysis.figures import isoflop as figure
    from repro.store.folder import Folder

    folder = Folder.open(given.out)
    folder.check_writable(key="--out")
    drawn = figures.write(figure, found, folder)
    print(f"{folder}/{drawn.name}.pdf .png .csv", file=sys.stderr if given.json else sys.stdout)
