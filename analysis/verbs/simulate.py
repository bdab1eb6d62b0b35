"""`python -m analysis simulate`: a table drawn from a known law."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from analysis.laws.formulas.written import WrittenLaw
from analysis.laws.law import Law
from analysis.verbs import law_arguments
from analysis.verbs.law_arguments import LISTED
from analysis.verbs.shared_options import FORMULA, LAW, PARAMETERS, SIGMA
from repro.console import commands
from repro.console.options import OUT_PLACE, SEED, earlier
from repro.errors import UserError

EXAMPLES = (
    ("runs.csv --law chinchilla --sigma 0.005", "sizes and tokens, with losses of published parameters"),
    ("world --law N_final --sigma 0.01", "a whole sweep's results folder, on which `report world` gives verdicts"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb simulate."""
    command = commands.add(
        verbs, "simulate", "Draws a table, or a sweep's results folder, from a known law.", EXAMPLES, notes=LISTED
    )
    OUT_PLACE.add(command, "a table, .csv or .parquet; by any other name a results folder")
    which = command.add_mutually_exclusive_group(required=True)
    LAW.add(which, "it or --formula is given", default_is="none")
    FORMULA.add(which, "it or --law is given, with all its --parameters", default_is="none")
    law_arguments.add_options(command)
    PARAMETERS.add(
        command, "those that aren't given are the usual ones", default="", default_is="all are the usual ones"
    )
    SIGMA.add(command, "for a law of something else than a loss, in its unit", default=0.004)
    earlier(command, "--noise", "--sigma")
    command.add_argument(
        "--rows", type=int, metavar="N", help="rows that are drawn from the design at random (default: all)"
    )
    SEED.add(command, type=int)
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
