"""`python -m sweeps status`: a sweep's progress."""

from __future__ import annotations

import argparse
from typing import Any

from repro.console import commands
from repro.console.options import earlier
from repro.console.shared_options import JSON, RESULTS

EXAMPLES = (
    ("results/quick", "from another terminal, or another machine"),
    ("results/quick --json", "once, for a program"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = commands.add(
        verbs,
        "status",
        "Shows a sweep's progress, read from its files alone, and goes on while runs are open.",
        EXAMPLES,
    )
    RESULTS.add(parser)
    parser.add_argument("--once", action="store_true", help="print once instead of refreshing")
    parser.add_argument(
        "--price-per-hour", type=float, metavar="PRICE",
        help="price of an hour of all machines together, in any currency; the remaining cost is shown (default: it isn't)",
    )  # fmt: skip
    earlier(parser, "--price", "--price-per-hour")
    JSON.add(parser, "once")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Shows the progress; returns the exit code."""
    from sweeps import status

    try:
        return status.show(given.results, as_json=given.json, once=given.once, price=given.price_per_hour)
    except KeyboardInterrupt:
        return 0
