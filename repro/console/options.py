"""Options of several verbs, and types of options: numbers within bounds; argparse reports others with the option's name and exit code 2."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """An option, or a positional argument, that several verbs have: it has one name, one metavar and one meaning in all of them.

    Attributes:
        name: `--seed`; of a positional argument its attribute in the namespace.
        metavar: what stands for its value; None for a flag, and for one of several `choices`.
        meaning: the beginning of its help, without default, semicolon and full stop.
        arguments: further ones of `add_argument`.
    """

    name: str
    metavar: str | None
    meaning: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def add(self, parser: Any, more: str = "", *, default_is: str = "", **arguments: Any) -> None:
        """Adds it to the parser of a verb, or to a group of one.

        Args:
            more: what else is to be said of it here, after a semicolon.
            default_is: what holds without it, where that is no value of `arguments`.
            arguments: of `add_argument`, beside those of all verbs; a `default` that isn't None is said.
        """
        given = {**self.arguments, **arguments}
        said = default_is or ("%(default)s" if given.get("default") not in (None, [], "") else "")
        text = self.meaning + (f"; {more}" if more else "") + (f" (default: {said})" if said else "")
        parser.add_argument(self.name, help=text, **({"metavar": self.metavar} if self.metavar else {}), **given)


def earlier(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Takes the option `new` of a verb by its earlier name, too, which help doesn't show: scripts that use it go on."""
    parser._option_string_actions[old] = parser._option_string_actions[new]


def whole(least: int = 1, most: int = 10**12) -> Callable[[str], int]:
    """Parses a whole number from `least` to `most`; 1e6 and 1_000 are allowed."""

    def parse(text: str) -> int:
        try:
            value = float(text)
            found = int(text) if text.strip().lstrip("+-").replace("_", "").isdecimal() else int(value)
            if found == value and least <= found <= most:
                return found
        except (ValueError, OverflowError):  # not a number, NaN or infinite
            pass
        raise argparse.ArgumentTypeError(f"{text[:50]!r} is not a whole number from {least:,} to {most:,}")

    return parse


def real(what: str, least: float = 0.0, most: float = math.inf, *, open_below: bool = False) -> Callable[[str], float]:
    """Parses a finite number of at least `least` (if `open_below`: above it) and at most `most`.

    Args:
        what: what is expected, for the message: "a price of a GPU-hour".
    """

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and least <= value <= most and not (open_below and value == least):
            return value
        raise argparse.ArgumentTypeError(f"{text[:50]!r} is not {what}")

    return parse
