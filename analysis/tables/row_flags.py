"""Flags on single rows of a table, and their summary in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.laws.law import Array


@dataclass(frozen=True)
class RowFlag:
    """Something odd about a row. `row`: its number, the first is 1. `excluded`: no fit uses it. `kind`: of the reason."""

    row: int
    reason: str
    excluded: bool
    kind: str


def copies(found: Mapping[str, Array], left: np.ndarray, without: set[int]) -> list[RowFlag]:
    """Rows that say what an earlier one says."""
    flags: list[RowFlag] = []
    seen: dict[tuple[float, ...], int] = {}
    for i in np.flatnonzero(left):
        values, row = tuple(column[i] for column in found.values()), int(i) + 1
        if row in without:
            continue
        if values in seen:
            reason = f"a copy of row {seen[values]}, and counted twice"
            flags.append(RowFlag(row, reason, False, "a copy of another row, and counted twice"))
        seen.setdefault(values, row)
    return flags


def counted(flags: Sequence[RowFlag]) -> str:
    """How many rows there are of the commonest kinds, in a line."""
    counts = Counter(flag.kind for flag in flags)
    return "; ".join(f"{reason} ({count:,} rows)" for reason, count in counts.most_common(5))


def filters(exclude: Sequence[str], flags: Sequence[RowFlag], rows: int) -> list[str]:
    """A line for each condition: how many of the table's `rows` rows it and those before it leave."""
    gone: set[int] = set()
    lines = []
    for text in exclude:
        gone |= {flag.row for flag in flags if flag.reason == f"left out: {text}"}
        lines.append(f"exclude {text}: {rows - len(gone):,} of {rows:,} rows left")
    return lines


def told(exclude: Sequence[str], flags: Sequence[RowFlag], rows: int) -> list[str]:
    """How many rows each condition leaves, and what is odd about single ones."""
    return [*filters(exclude, flags, rows), *summary(flags, exclude)]


def summary(flags: Sequence[RowFlag], exclude: Sequence[str] = (), most: int = 3) -> list[str]:
    """A line for each of the first few rows of every kind, and one for how many more there are; conditions have their own."""
    by_kind: dict[str, list[RowFlag]] = {}
    known = {f"left out: {text}" for text in exclude}
    for flag in flags:
        if flag.reason in known:
            continue
        by_kind.setdefault(flag.kind, []).append(flag)
    lines = []
    for kind, own in by_kind.items():
        lines += [f"row {flag.row}: {flag.reason}" for flag in own[:most]]
        if len(own) > most:
            lines.append(f"and {len(own) - most:,} more rows: {kind}")
    return lines


def as_json(flags: Sequence[RowFlag], most: int = 20) -> dict[str, Any]:
    """The first of every kind as `flags`, and how many there are of each as `flag_counts`."""
    counts: Counter[str] = Counter()
    first = []
    for flag in flags:
        counts[flag.kind] += 1
        if counts[flag.kind] <= most:
            first.append({"row": flag.row, "reason": flag.reason, "excluded": flag.excluded})
    return {"flags": first, "flag_counts": dict(counts)}
