"""`python -m analysis isoflop`: how the best size and the best number of tokens go with compute."""

from __future__ import annotations

import argparse
from typing import Any

EXAMPLES = """\
examples:
  python -m analysis isoflop runs.csv --columns N=params,C=flops,loss=val_loss          a parabola in log N for each budget
  python -m analysis isoflop runs.csv --columns N=params,C=flops --method free          a shape that the rows choose
  python -m analysis isoflop runs.csv --columns N=params,D=tokens --out isoflop         C = 6 N D; isoflop/isoflop.pdf .png .csv
  python -m analysis isoflop runs.csv --columns N=params,C=flops --by dataset           one answer for each data set
  python -m analysis isoflop curves.parquet --method envelope --clusters run_id --json  the lowest of training curves
"""


def add_parser(verbs: Any) -> None:
    """Adds the verb isoflop."""
    command = verbs.add_parser(
        "isoflop",
        description="Exponents of the best size and tokens against training FLOP (Hoffmann et al. 2022, approaches 1 and 2). "
        "For approach 3, fit a law and predict C=…",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "table",
        metavar="TABLE",
        help=".csv, .tsv, .json, .jsonl or .parquet, or a results folder; a row a run, or a checkpoint",
    )
    command.add_argument(
        "--columns",
        action="append",
        default=[],
        metavar="N=…,C=…",
        help="names of the columns in the table: N, C, loss, and D where it isn't C / (6 N); without C it is 6 N D",
    )
    command.add_argument(
        "--method",
        choices=("parabola", "free", "envelope"),
        default="parabola",
        help="minima of parabolas, or of one shape that the rows choose; or the envelope of training curves (%(default)s)",
    )
    command.add_argument("--exclude", action="append", default=[], metavar="COND", help="rows to leave out: loss>=4.5")
    command.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="a budget's largest FLOP over its smallest, less one (default: 0.1)",
    )
    command.add_argument(
        "--sigma", type=float, help="the seeds' standard deviation in nats (default: what is left over)"
    )
    command.add_argument(
        "--clusters", metavar="COLUMN", help="envelope: rows of equal value are one run (default: those of equal N)"
    )
    command.add_argument(
        "--out", metavar="FOLDER", help="writes the figure and its numbers there: isoflop.pdf .png .csv"
    )
    command.add_argument("--by", metavar="COLUMN", help="one answer for each of its values; --json prints a list")
    command.add_argument("--json", action="store_true", help="one JSON object")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the exponents; returns the exit code."""
    from analysis.verbs import isoflop_command

    return isoflop_command.isoflop_table(given)
