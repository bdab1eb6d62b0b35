"""`python -m analysis recipes`: recipe against recipe, by compute and by rank, on any table."""

from __future__ import annotations

import argparse
from typing import Any

from analysis.verbs import table_arguments
from analysis.verbs.shared_options import BY
from repro.console import commands
from repro.console.options import real

EXAMPLES = (
    ("docs/evidence/regime --by sparsity --columns N=N_avg", "dense and pruned runs against each other"),
    (
        "docs/evidence/regime --by sparsity --columns N=N_avg --reference 0.0 --beyond 10 100 --json",
        "extrapolated, for a program",
    ),
)
NOTES = """\
A row is a run; seeds are rows of one training recipe and one budget. Where D/N is one ratio in every row, or C alone is
known, each training recipe's loss is fitted as E + A/C^γ, else as E + A/N^α + B/D^β; a fraction of compute is along the
budget's own D/N.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb recipes."""
    command = commands.add(
        verbs, "recipes",
        "Compares training recipes (data sets, optimizers, architectures): at which fraction of compute one reaches another's "
        "loss, and how often small runs rank them as large ones do.",
        EXAMPLES, notes=NOTES,
    )  # fmt: skip
    table_arguments.add_budgets(command)
    BY.add(command, "each group is a training recipe", required=True)
    command.add_argument(
        "--reference",
        metavar="VALUE",
        help="value of --by whose loss the others are to reach (default: that of the highest loss at the largest shared budget)",
    )
    command.add_argument(
        "--beyond",
        nargs="+",
        type=real("a multiple of the largest budget, over 1", 1.0, 1e6, open_below=True),
        default=[10.0],
        metavar="FACTOR",
        help="multiples of the reference's largest budget to extrapolate to (default: 10)",
    )
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the comparison; returns the exit code."""
    from analysis.recipe_laws import comparison
    from analysis.shown import say

    folder = table_arguments.place(given)
    rows = table_arguments.read_budgets(given)
    found = comparison.compare(
        rows, given.by, reference=given.reference, times=given.beyond, sigma=given.sigma, resamples=given.bootstrap
    )  # fmt: skip
    table_arguments.show(found, given)
    if folder is not None:
        from analysis import figures
        from analysis.figures import recipes

        figures.write(recipes, found, folder)
    say(found.warnings)
    return 0
