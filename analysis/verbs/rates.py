"""`python -m analysis rates`: the best learning rate and batch of each budget of any table, and how they go with it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from analysis.verbs import table_arguments
from analysis.verbs.shared_options import BY, TARGET
from repro.console import commands
from repro.console.options import earlier, real

if TYPE_CHECKING:
    from analysis.tables.table import Table

EXAMPLES = (
    (
        "docs/evidence/regime-lr --columns N=N_prunable --exclude 'sparsity>0' --target N=3e5,D=1e7",
        "of a sweep's dense runs",
    ),
    (
        "docs/evidence/regime-lr --columns N=N_prunable --exclude 'sparsity>0' --json --out figures",
        "for a program, and drawn",
    ),
)
NOTES = """\
A row is a run; a budget is the rows of one N and one D. Columns are lr, N, D, loss and, where it varies, batch. The verb `lr`
reads the study of learning rates of a sweep, with sparse runs; this one reads any table.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb rates."""
    command = commands.add(
        verbs, "rates",
        "Finds the best learning rate and batch of each size and number of tokens, and the power laws that they follow.",
        EXAMPLES, notes=NOTES,
    )  # fmt: skip
    table_arguments.add_budgets(command)
    command.add_argument(
        "--near",
        type=real("a share over 0", 0.0, 1.0, open_below=True),
        default=0.02,
        metavar="SHARE",
        help="runs whose loss is above a budget's lowest by more than this share of it take no part (default: %(default)s)",
    )
    BY.add(command, "each group has its answer, and --json prints a list", default_is="none")
    TARGET.add(command, "the N and D of a budget; may be repeated", action="append", default=[], default_is="none")
    earlier(command, "--at", "--target")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the cells and laws; returns the exit code."""
    from analysis.fits import group_answers
    from analysis.rate_laws import table_rates
    from analysis.rate_laws.table_rates import TableRates
    from analysis.shown import say

    table_arguments.figure_of_one(given)
    folder = table_arguments.place(given)
    rows = table_arguments.read_budgets(given, optional=("lr", "batch"))
    points = [table_arguments.columns_given([text]) for text in given.target]

    def best(own: Table) -> TableRates:
        return table_rates.best_rates(own, sigma=given.sigma, resamples=given.bootstrap, near=given.near, at=points)

    found = group_answers.by_group(rows, given.by, best) if given.by else best(rows)
    table_arguments.show(found, given)
    if folder is not None and isinstance(found, TableRates):
        from analysis import figures
        from analysis.figures import rates

        figures.write(rates, (found.found, found.laws), folder)
    say(found.warnings)
    return 0
