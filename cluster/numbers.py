"""Numbers on the command line, each within bounds, so that none causes unbounded sizes, loops or waits."""

from __future__ import annotations

import argparse
import math
import re

MOST = 1_000_000  # nodes, cores per node, GB per node
HOURS = 10_000.0
SECONDS = 30 * 86400.0


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST:,}")
    return int(text)


def hours(text: str) -> float:
    """A positive number of hours."""
    return _time(text, HOURS, "hours")


def seconds(text: str) -> float:
    """A positive number of seconds."""
    return _time(text, SECONDS, "seconds")


def _time(text: str, most: float, unit: str) -> float:
    try:
        time = float(text) if text.isascii() else math.nan
    except ValueError:
        time = math.nan
    if not 0 < time <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of {unit}, more than 0 and at most {most:,.0f}")
    return time
