"""`python -m sweeps status`: a sweep's progress."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = verbs.add_parser("status")
    parser.add_argument("results", help="a sweep's results folder, or its URI")
    parser.add_argument("--once", action="store_true", help="print once instead of refreshing")
    parser.add_argument("--price", type=float, help="price per hour of all machines together: shows the remaining cost")
    parser.add_argument("--json", action="store_true", help="print once, as JSON")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Shows the progress; returns the exit code."""
    from sweeps import status

    try:
        return status.show(given.results, as_json=given.json, once=given.once, price=given.price)
    except KeyboardInterrupt:
        return 0
