"""The parsers of all verbs: what a test of their help, options and examples goes over."""

from __future__ import annotations

import argparse
import functools
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from repro.console import commands

ROOMS = ("repro", "sweeps", "cluster", "analysis")


@dataclass(frozen=True)
class Verb:
    """A verb, or a kind of `corpus`. name: as it is called, `repro corpus build`."""

    name: str
    parser: argparse.ArgumentParser

    @property
    def help(self) -> str:
        return self.parser.format_help()

    @property
    def actions(self) -> list[argparse.Action]:
        """Its options and positional arguments, without --help."""
        skipped = argparse._SubParsersAction | argparse._HelpAction
        return [action for action in self.parser._actions if not isinstance(action, skipped)]

    @property
    def examples(self) -> list[str]:
        """The commands with which its help ends."""
        _, _, shown = self.help.partition("\nexamples:\n")
        return [line.strip() for line in shown.splitlines() if not line.strip().startswith("#")]


def room_of(name: str) -> commands.Room:
    found: commands.Room = importlib.import_module(f"{name}.__main__").ROOM
    return found


@functools.cache
def verbs(room: str) -> tuple[Verb, ...]:
    """The verbs of a room, in the order of its help; each followed by its kinds."""
    made = room_of(room)
    found: list[Verb] = []
    for verb in made.verbs:
        parser = commands.parser(f"python -m {room}", "", (made,), [verb])
        found += _with_kinds(Verb(f"{room} {verb}", _subparsers(parser)[verb]))
    return tuple(found)


def every() -> tuple[Verb, ...]:
    return tuple(verb for room in ROOMS for verb in verbs(room))


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What `python -m ROOM VERB ...` is taken for. Raises SystemExit for what no parser takes."""
    _, _, room, *rest = words
    return commands.parser(f"python -m {room}", "", (room_of(room),), rest).parse_args(rest)


def _with_kinds(verb: Verb) -> Iterator[Verb]:
    yield verb
    for name, parser in _subparsers(verb.parser).items():
        yield Verb(f"{verb.name} {name}", parser)


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: one
        for a in parser._actions
        if isinstance(a, argparse._SubParsersAction)
        for name, one in a.choices.items()
    }
