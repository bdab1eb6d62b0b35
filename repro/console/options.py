"""Types of command-line options: numbers within bounds; argparse reports others with the option's name and exit code 2."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


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
