"""The status of a run: what status.json may hold, and how later ones are told from those seen before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

State = Literal["queued", "running", "done", "failed"]


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


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "updated": _is_number,
    "began": lambda value: value is None or _is_number(value),
    "reason": lambda value: isinstance(value, str),
    "before": lambda value: isinstance(value, str),
    "attempts": lambda value: _is_count(value) and value > 0,
    "step": _is_count,
    "total_steps": lambda value: _is_count(value) and value > 0,
    "workers": lambda value: _is_count(value) and value > 0,
    "tokens_per_second": lambda value: value is None or (_is_number(value) and value >= 0),
    "mfu": lambda value: value is None or _is_number(value),
    "owner": lambda value: isinstance(value, dict),
    "identity": lambda value: isinstance(value, str),
    "nonce": lambda value: isinstance(value, str),
    "tables": lambda value: isinstance(value, dict) and _are_texts(value.values()),
}
