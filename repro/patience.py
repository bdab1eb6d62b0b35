"""Timeouts for calls into libraries that would wait for minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, act: Callable[[], T], what: str) -> T:
    """Returns or raises what `act` does, if it ends within `seconds`.

    Raises:
        TimeoutError: it doesn't; its thread goes on in the background, because a blocked library call can't be stopped.
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
