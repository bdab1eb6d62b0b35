"""`python -m analysis simulate`: a table drawn from a known law."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from analysis.laws.formulas import shipped
from analysis.laws.formulas.written import WrittenLaw
from analysis.laws.law import Law
from analysis.laws.registry import LAWS
from analysis.verbs import law_arguments
from repro.errors import UserError

EXAMPLES = """\
examples:
  python -m analysis simulate --law chinchilla --noise 0.005 drawn.csv        a design of sizes and tokens, from published constants
  python -m analysis simulate --law sparse --parameters b_S=0.5 --rows 60 drawn.parquet
  python -m analysis simulate --law data_constrained --noise 0.005 drawn.csv  columns N, D and U, tokens seen up to 60 times
  python -m analysis simulate --formula 'a + b*log(C)' --parameters a=6,b=-0.08 drawn.csv
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
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--law", choices=(*LAWS, *shipped.NAMES), help="which law that ships")
    which.add_argument("--formula", metavar="TEXT", help="a law of your own or a law file, with all its --parameters")
    law_arguments.add_options(command)
    command.add_argument("--parameters", default="", metavar="E=…,A=…", help="others than the usual ones")
    command.add_argument(
        "--noise",
        type=float,
        default=0.004,
        metavar="NATS",
        help="sd over seeds, of a loss or of what else the law predicts (%(default)s)",
    )
    command.add_argument("--rows", type=int, metavar="N", help="a random N of the design's rows")
    command.add_argument("--seed", type=int, default=0, help="of the noise (%(default)s)")
    command.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    from analysis.worlds import simulated_table

    [said] = law_arguments.laws(given, [given.law] if given.law else [])
    law = _own(said, simulated_table.COLUMNS, simulated_table.SIZES) if isinstance(said, WrittenLaw) else said
    return simulated_table.main(given, law)


def _own(written: WrittenLaw, columns: Collection[str], sizes: Collection[str]) -> Law:
    """The law of a formula. Raises UserError for one that reads what no design has."""
    from analysis.laws.formulas import declared, formula

    own = formula.read(written, columns)
    if lack := [name for name in own.columns if name not in columns]:
        raise UserError(
            "a column that simulate can't draw", file=written.name or None, key=f"columns.{lack[0]}", found=lack[0],
            expected=f"a law of {', '.join(sorted(columns))}",
        )  # fmt: skip
    if len(found := [name for name in own.columns if name in sizes]) > 1:
        raise UserError(
            "two sizes, of which simulate can draw one", key="--formula", found=", ".join(found), expected="one"
        )
    if own.labels:
        raise UserError(
            "labels, which simulate can't draw", key="--formula", found=own.labels[0], expected="columns of numbers"
        )
    return declared.law_of(own, {})
