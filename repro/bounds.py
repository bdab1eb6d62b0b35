"""Bounds of numbers, so that no user input becomes an endless loop, an impossible memory size or NaN."""

from __future__ import annotations

from repro.errors import UserError

STEPS = 10**9  # steps of a run
EVENTS = 100_000  # pruning events of a run
RUNS = 50_000  # runs of a sweep file
PROCESSES = 100_000  # workers of a run, or concurrent runs
SEEDS = 2**63 - 1  # largest seed: tables store seeds in 64 bits


def within(key: str, value: float | None, least: float, most: float, of: str = "") -> None:
    """Raises UserError if a number isn't in [least, most], and so finite; None is allowed. of: its unit, for the message."""
    if value is not None and not least <= value <= most:
        unit = f" {of}" if of else ""
        raise UserError("value out of range", key=key, found=value, expected=f"{least:,} to {most:,}{unit}")
