"""A command of verbs, of which only the one that is asked for is imported: `--help` answers before numpy is there."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence

Verbs = Mapping[str, tuple[str, str]]
"""Name of a verb -> the module whose `add_parser(verbs)` adds it and sets `main`, and a line of help."""


def run(prog: str, description: str, examples: str, verbs: Verbs, argv: Sequence[str] | None) -> int:
    """Parses `argv` (that of the process when None) and runs its verb. Returns the exit code.

    Verbs that aren't asked for are listed and no more; a module may add several verbs at once.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    given = parser(prog, description, examples, verbs, words).parse_args(words)
    code: int = given.main(given)
    return code


def parser(prog: str, description: str, examples: str, verbs: Verbs, words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser that reads `words`; of their verb it knows everything, of the others the names."""
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
