"""`python -m sweeps schema`: the JSON Schema of a sweep file, for editors."""

from __future__ import annotations

import argparse
import sys
from typing import Any


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    verbs.add_parser("schema").set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the JSON Schema; returns the exit code."""
    from sweeps import schema

    sys.stdout.write(schema.text())
    return 0
