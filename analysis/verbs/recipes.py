"""`python -m analysis recipes`: recipe against recipe, by compute and by rank, on any table."""

from __future__ import annotations

import argparse
import json
from typing import Any

from repro.console.options import real

EXAMPLES = """\
examples:
  python -m analysis recipes runs.csv --by dataset --columns N=params,D=tokens,loss=val_loss
  python -m analysis recipes ladder.csv --by recipe --columns C=flops --reference baseline --beyond 10 100
  python -m analysis recipes ladder.csv --by recipe --json --out figures
One row a run; seeds are rows of one recipe and one budget. Where D/N is one ratio in every row, or C alone is known, each
recipe's loss is fitted as E + A/C^γ, else as E + A/N^α + B/D^β; a fraction of compute is along the budget's own D/N.
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb recipes."""
    from analysis.verbs import budget_arguments

    command = verbs.add_parser(
        "recipes",
        description="At which fraction of compute one recipe reaches another's loss, and how often small runs rank recipes as large ones do.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    budget_arguments.add(command, "N=…,D=…")
    command.add_argument("--by", required=True, metavar="COLUMN", help="the column that tells recipes apart")
    command.add_argument(
        "--reference",
        metavar="RECIPE",
        help="whose loss the others are to reach (default: the highest at the largest shared budget)",
    )
    command.add_argument(
        "--beyond",
        nargs="+",
        type=real("a multiple of the largest budget, over 1", 1.0, 1e6, open_below=True),
        default=[10.0],
        metavar="K",
        help="multiples of the reference's largest budget to extrapolate to (10)",
    )
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the comparison; returns the exit code."""
    from analysis.recipe_laws import comparison
    from analysis.shown import plain_json, say
    from analysis.verbs import budget_arguments

    folder = budget_arguments.place(given)
    rows = budget_arguments.read(given)
    found = comparison.compare(
        rows, given.by, reference=given.reference, times=given.beyond, sigma=given.sigma, resamples=given.bootstrap
    )  # fmt: skip
    print(json.dumps(plain_json(found.as_json()), indent=1) if given.json else "\n".join(found.lines()))
    if folder is not None:
        from analysis import figures
        from analysis.figures import recipes

        figures.write(recipes, found, folder)
    say(found.warnings)
    return 0
