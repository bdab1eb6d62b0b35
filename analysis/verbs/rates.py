"""`python -m analysis rates`: the best learning rate and batch of each budget of any table, and how they go with it."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from repro.console.options import real

if TYPE_CHECKING:
    from analysis.tables.table import Table

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
    command.add_argument("--by", metavar="COLUMN", help="one answer for each of its values; --json prints a list")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the cells and laws; returns the exit code."""
    from analysis.fits import group_answers
    from analysis.rate_laws import table_rates
    from analysis.rate_laws.table_rates import TableRates
    from analysis.shown import plain_json, say
    from analysis.verbs import budget_arguments
    from analysis.verbs.table_arguments import columns_given, figure_of_one

    figure_of_one(given)
    folder = budget_arguments.place(given)
    rows = budget_arguments.read(given, optional=("lr", "batch"))
    points = [columns_given([text]) for text in given.at]

    def best(own: Table) -> TableRates:
        return table_rates.best_rates(own, sigma=given.sigma, resamples=given.bootstrap, near=given.near, at=points)

    found = group_answers.by_group(rows, given.by, best) if given.by else best(rows)
    print(json.dumps(plain_json(found.as_json()), indent=1) if given.json else "\n".join(found.lines()))
    if folder is not None and isinstance(found, TableRates):
        from analysis import figures
        from analysis.figures import rates

        figures.write(rates, (found.found, found.laws), folder)
    say(found.warnings)
    return 0
