"""Waiting with an end: what a library would wait for in vain for minutes is given up in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, act: Callable[[], T], what: str) -> T:
    """What `act` returns or raises, where it does so in time.

    Raises:
        TimeoutError: it doesn't; it is left to itself, since what waits in a library can't be stopped.
    """
    result: list[T] = []
    fault: list[BaseException] = []

    def run() -> None:
        try:
            result.append(act())
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if fault:
        raise fault[0]
    if not result:
        raise TimeoutError(f"{what}: no answer within {seconds:g} s")
    return result[0]
