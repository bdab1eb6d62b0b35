"""`python -m sweeps schema`: the JSON Schema of a sweep file, for editors; its keys as pages, for people."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from repro.console import commands

EXAMPLES = (
    ("> sweep.schema.json", "for editors that complete and check sweep files"),
    ("--pages pages", "the same keys for people, as Markdown"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    does = "Prints the JSON Schema of a sweep file, or writes its keys as pages of the documentation."
    parser = commands.add(verbs, "schema", does, EXAMPLES)
    pages = "write the keys as pages into this folder (default: print the schema)"
    parser.add_argument("--pages", metavar="FOLDER", help=pages)
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the JSON Schema, or writes the pages; returns the exit code."""
    from repro.store.folder import Folder
    from sweeps import key_pages

    if given.pages is None:
        sys.stdout.write(key_pages.text())
        return 0
    folder = Folder.open(given.pages, key="--pages")
    folder.check_writable(key="--pages")
    for name, text in key_pages.pages().items():
        folder.write(name, text.encode())
        print(f"{folder}/{name}")
    return 0
