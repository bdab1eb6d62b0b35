"""`python -m analysis isoflop`: how the best size and the best number of tokens go with compute."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from analysis.verbs import table_arguments
from analysis.verbs.shared_options import BOOTSTRAP, BY, CLUSTERS, COLUMNS, EXCLUDE, SAME_NAME, SIGMA, TABLE
from repro.console import commands
from repro.console.options import JSON, METHOD, OUT

if TYPE_CHECKING:
    from analysis.tables.table import Table

REGIME = "docs/evidence/regime --columns N=N_prunable --exclude 'sparsity>0' --tolerance .5"
EXAMPLES = (
    (REGIME, "of dense runs, a parabola in log N for each budget"),
    (f"{REGIME} --method free --out isoflop", "with a shape that the rows choose, and its figure"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb isoflop."""
    command = commands.add(
        verbs, "isoflop",
        "Finds the exponents with which the best size and number of tokens grow with training FLOP (Hoffmann et al. 2022, "
        "approaches 1 and 2). Their approach 3 is to fit a law and to predict C=….",
        EXAMPLES,
    )  # fmt: skip
    TABLE.add(command, "a row is a run, or a checkpoint of one")
    COLUMNS.add(command, "without C it is 6 N D, without D it is C / (6 N)", default_is=SAME_NAME)
    METHOD.add(
        command,
        "parabola, minima of parabolas in log N; free, minima of one shape that the rows choose; envelope, the lowest of training "
        "curves",
        choices=("parabola", "free", "envelope"),
        default="parabola",
    )
    EXCLUDE.add(command, default_is="none")
    command.add_argument(
        "--tolerance",
        type=float,
        metavar="SHARE",
        help="by how much the FLOP of rows of one budget may differ, largest over smallest less one (default: 0.1)",
    )
    SIGMA.add(command, default_is="measured on what the curves leave over")
    BOOTSTRAP.add(command, "of the runs of each budget; 0 takes intervals from the noise instead", default=0)
    CLUSTERS.add(command, "for --method envelope", default_is="those of equal N")
    OUT.add(command, "the figure is drawn there, as .pdf, .png and .csv", default_is="none is drawn")
    BY.add(command, "each group has its answer, and --json prints a list", default_is="none")
    JSON.add(command)
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the exponents; returns the exit code."""
    from analysis.fits import group_answers, table_frontier
    from analysis.fits.table_frontier import Asked, TableFrontier
    from analysis.shown import say
    from analysis.tables import readers

    table_arguments.figure_of_one(given)
    asked = Asked(given.method, given.tolerance, given.sigma, given.clusters, given.bootstrap)
    columns = table_arguments.columns_given(given.columns)
    rows = table_frontier.read(readers.read(given.table), columns, given.exclude, given.clusters)
    table_arguments.say_rows(rows, given.exclude)

    def answered(own: Table) -> TableFrontier:
        return table_frontier.frontier(own, asked)

    brief = table_frontier.lines_of_groups
    found = group_answers.by_group(rows, given.by, answered, brief) if given.by else answered(rows)
    table_arguments.show(found, given)
    if isinstance(found, TableFrontier) and (folder := table_arguments.place(given)) is not None:
        from analysis import figures
        from analysis.figures import isoflop

        drawn = figures.write(isoflop, found.found, folder)
        print(f"{folder}/{drawn.name}.pdf .png .csv", file=sys.stderr if given.json else sys.stdout)
    say(found.warnings)
    return 0
