"""Bounds of numbers: none that a user gives becomes an endless loop, a memory size that no machine has, or NaN."""

from __future__ import annotations

import math
from typing import Any

from repro.errors import UserError

STEPS = 10**9  # of a run
EVENTS = 100_000  # of pruning, in a run
RUNS = 50_000  # that one sweep file may ask for
PROCESSES = 100_000  # workers of a run, or runs at once
SEEDS = 2**63 - 1  # tables keep them in 64 bits


def within(key: str, value: float | None, least: float, most: float, of: str = "") -> None:
    """Refuses a number outside [least, most], and one that isn't finite; None is no number to refuse.

    Args:
        key: what it is called where it was given.
        of: its unit, for the message.

    Raises:
        UserError: it is outside.
    """
    if value is not None and not least <= value <= most:
        unit = f" {of}" if of else ""
        raise UserError("value out of range", key=key, found=value, expected=f"{least:,} to {most:,}{unit}")


def positive(key: str, value: float | None, of: str = "") -> None:
    """Refuses a number that isn't above 0, or isn't finite.

    Raises:
        UserError: it isn't.
    """
    if value is not None and not (value > 0 and math.isfinite(value)):
        unit = f" {of}" if of else ""
        raise UserError("value out of range", key=key, found=value, expected=f"more than 0{unit}, and finite")


def all_within(given: Any, bounds: dict[str, tuple[float, float, str]]) -> None:
    """`within` for several attributes of `given`: name -> least, most and unit."""
    for name, (least, most, of) in bounds.items():
        within(name, getattr(given, name), least, most, of)
