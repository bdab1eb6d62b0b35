"""`python -m sweeps status`: where a sweep stands."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    parser = verbs.add_parser("status")
    parser.add_argument("results", help="a sweep's results folder, or its URI")
    parser.add_argument("--once", action="store_true", help="look once instead of again and again")
    parser.add_argument("--price", type=float, help="of an hour of all the machines at work: says what is left to pay")
    parser.add_argument("--json", action="store_true", help="once, for machines")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Shows it; returns the exit code."""
    from sweeps import status

    try:
        return status.show(given.results, as_json=given.json, once=given.once, price=given.price)
    except KeyboardInterrupt:
        return 0
