"""The status of a run: what status.json may hold, and how later ones are told from those seen before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

State = Literal["queued", "running", "done", "failed"]
Kind = Callable[[Any], bool]  # whether a value is of a kind


def stamp(status: Mapping[str, Any]) -> str | float | None:
    """A value that changes with every status; None for a run that has never begun.

    It is a nonce, since two hosts' clocks may agree by chance; in the statuses of older versions, `updated`.
    """
    return status.get("nonce", status.get("updated"))


def fault_of(status: Any) -> str | None:
    """What is wrong with a status; None if it is valid."""
    if not isinstance(status, dict):
        return "not a mapping"
    if status.get("state") not in get_args(State):
        return "invalid state"
    state = status["state"]
    needed = {"failed": ("reason",), "running": ("step", "total_steps", "owner"), "queued": (), "done": ()}[state]
    if missing := [key for key in ("updated", *needed) if key not in status]:
        return f"no {missing[0]}"
    if "attempts" in status and "before" not in status:
        return "no before"
    if wrong := [key for key, is_good in _KINDS.items() if key in status and not is_good(status[key])]:
        return f"invalid {wrong[0]}"
    if status.get("step", 0) > status.get("total_steps", math.inf):
        return "step is past the last"
    return None


def is_number(value: object) -> bool:
    """Whether it is a finite number, and not true or false."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def is_count(value: object) -> bool:
    """Whether it is a whole number from 0 on that fits into 64 bits."""
    return type(value) is int and 0 <= value < 2**63


def is_text(value: object) -> bool:
    """Whether it is text."""
    return isinstance(value, str)


def or_null(kind: Kind) -> Kind:
    """Whether it is null, or what `kind` accepts."""
    return lambda value: value is None or kind(value)


def _is_positive(value: object) -> bool:
    return is_count(value) and value != 0


_KINDS: dict[str, Kind] = {
    "updated": is_number,
    "began": or_null(is_number),
    "reason": is_text,
    "before": is_text,
    "attempts": _is_positive,
    "step": is_count,
    "total_steps": _is_positive,
    "workers": _is_positive,
    "tokens_per_second": or_null(lambda value: is_number(value) and value >= 0),
    "mfu": or_null(is_number),
    "owner": lambda value: isinstance(value, dict),
    "identity": is_text,
    "nonce": is_text,
    "tables": lambda value: isinstance(value, dict) and all(map(is_text, value.values())),
}
