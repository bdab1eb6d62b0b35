"""Commands with verbs; only the module of the requested verb is imported, so `--help` doesn't even import numpy."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Examples = tuple[tuple[str, str], tuple[str, str]]
"""Two calls of a verb: the words after it, and what they do."""


@dataclass(frozen=True)
class Room:
    """The verbs of a package.

    Attributes:
        name: of the package: its verbs are called as `python -m NAME VERB`.
        summary: what they are about, on one line.
        verbs: verb -> (module whose `add_parser(verbs)` adds it and sets `main`, its line in the list of verbs).
    """

    name: str
    summary: str
    verbs: Mapping[str, tuple[str, str]]


def run(prog: str, description: str, rooms: Sequence[Room], argv: Sequence[str] | None) -> int:
    """Parses `argv` (None: the process's arguments) and runs its verb. Returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    given = parser(prog, description, rooms, words).parse_args(words)
    code: int = given.main(given)
    return code


def run_room(room: Room, argv: Sequence[str] | None) -> int:
    """The same of one room: `python -m NAME`."""
    return run(f"python -m {room.name}", "", (room,), argv)


def parser(prog: str, description: str, rooms: Sequence[Room], words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for `words`, with all options of their verb and only the names of the others.

    A module may add several verbs at once.
    """
    width = max(len(name) for room in rooms for name in room.verbs)
    listed = [
        "\n".join([
            room.summary + (f" (python -m {room.name})" if len(rooms) > 1 else ""),
            *(f"  {name:<{width}}  {text}" for name, (_, text) in room.verbs.items()),
        ])
        for room in rooms
    ]  # fmt: skip
    made = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} VERB ...",
        description="\n\n".join(filter(None, (description, *listed))),
        epilog=f"`{prog} VERB --help` shows the options of a verb and two examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parsers = made.add_subparsers(dest="verb", required=True, metavar="VERB", prog=prog, help=argparse.SUPPRESS)
    for room in rooms:
        if words and words[0] in room.verbs:
            module, _ = room.verbs[words[0]]
            importlib.import_module(module).add_parser(parsers)
        for name in room.verbs:
            if name not in parsers.choices:
                parsers.add_parser(name)
    return made


def add(
    verbs: Any, name: str, description: str, examples: Examples, *, notes: str = "", line: str | None = None
) -> argparse.ArgumentParser:
    """Adds a verb and returns its parser; no option may be shortened.

    Args:
        verbs: what `add_subparsers` returned.
        description: what it does, in sentences; they are wrapped.
        examples: the help ends with them.
        notes: what else there is to know, as it stands, between the options and the examples.
        line: of the list of `verbs`, for those that no `Room` lists.
    """
    width = min(shutil.get_terminal_size().columns - 2, 120)
    made: argparse.ArgumentParser = verbs.add_parser(
        name,
        description=textwrap.fill(description, width),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **({} if line is None else {"help": line}),
    )
    shown = "\n".join(f"  # {what}\n  {made.prog} {words}".rstrip() for words, what in examples)
    made.epilog = f"{notes.rstrip()}\n\nexamples:\n{shown}".lstrip()
    return made
