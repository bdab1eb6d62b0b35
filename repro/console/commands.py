"""Commands with verbs; only the module of the requested verb is imported, so `--help` doesn't even import numpy."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence

Verbs = Mapping[str, tuple[str, str]]
"""Verb -> (module whose `add_parser(verbs)` adds it and sets `main`, line of help)."""


def run(prog: str, description: str, examples: str, verbs: Verbs, argv: Sequence[str] | None) -> int:
    """Parses `argv` (None: the process's arguments) and runs its verb. Returns the exit code.

    Other verbs are only listed in the help; a module may add several verbs at once.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    given = parser(prog, description, examples, verbs, words).parse_args(words)
    code: int = given.main(given)
    return code


def parser(prog: str, description: str, examples: str, verbs: Verbs, words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for `words`, with all options of their verb and only the names of the others."""
    made = argparse.ArgumentParser(
        prog=prog, description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsers = made.add_subparsers(dest="verb", required=True, metavar="VERB")
    if words and words[0] in verbs:
        module, _ = verbs[words[0]]
        importlib.import_module(module).add_parser(parsers)
    for name, (_, text) in verbs.items():
        if name not in parsers.choices:
            parsers.add_parser(name, help=text)
    return made
