"""`python -m analysis simulate`: a table drawn from a known law."""

from __future__ import annotations

import argparse
from typing import Any

from analysis.laws.registry import LAWS

EXAMPLES = """\
examples:
  python -m analysis simulate --law chinchilla --noise 0.005 drawn.csv        a design of sizes and tokens, from published constants
  python -m analysis simulate --law sparse --parameters b_S=0.5 --rows 60 drawn.parquet
  python -m analysis simulate --law N_final --noise 0.01 results/drawn        a whole sweep's results folder; then
  python -m analysis report results/drawn                                     what do the verdicts say of a world like that?
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb simulate."""
    command = verbs.add_parser(
        "simulate",
        description="Draw a table, or a sweep's results folder, from a known law.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("out", metavar="OUT", help=".csv or .parquet for a table, any other name for a results folder")
    command.add_argument("--law", required=True, choices=LAWS)
    command.add_argument("--parameters", default="", metavar="E=…,A=…", help="others than the usual ones")
    command.add_argument(
        "--noise", type=float, default=0.004, metavar="NATS", help="sd of a loss over seeds (%(default)s)"
    )
    command.add_argument("--rows", type=int, metavar="N", help="a random N of the design's rows")
    command.add_argument("--seed", type=int, default=0, help="of the noise (%(default)s)")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    from analysis.worlds import simulated_table

    return simulated_table.main(given)
