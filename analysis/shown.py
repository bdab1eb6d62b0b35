"""Values as readers and machines see them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def plain(value: Any) -> str:
    """A cell as a reader sees it: four significant digits, thousands apart, a dash for what is unknown."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, str):
        return value
    number = float(value)
    if number.is_integer() or abs(number) >= 1000:
        return f"{number:,.0f}" if abs(number) < 1e15 else f"{number:.3e}"
    return f"{number:.4g}"


def with_ends(value: Any, ends: Sequence[Any] | None) -> str:
    """A number as `plain`, with its interval where it has one."""
    return plain(value) + (f" [{plain(ends[0])}, {plain(ends[1])}]" if ends else "")


def plain_json(value: Any) -> Any:
    """JSON has neither infinity nor nan: both become null."""
    if isinstance(value, dict):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def say(warnings: Iterable[str]) -> None:
    """Prints warnings to the standard error, a line each, after the answer that they are of."""
    sys.stdout.flush()
    for text in warnings:
        print(f"warning: {text}", file=sys.stderr)
