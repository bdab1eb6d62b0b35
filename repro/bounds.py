"""Bounds of numbers: none that a user gives becomes an endless loop, a memory size that no machine has, or NaN."""

from __future__ import annotations

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
