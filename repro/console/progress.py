"""Progress of long work: a line now and then, with the time left."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

EVERY = 10.0  # seconds between two lines
WINDOW = 120.0  # seconds over which the rate is measured: what was done earlier passes at once


class TimedProgress:
    """Reports one stage after another to `say`. whose: what each line begins with."""

    def __init__(self, say: Callable[[str], object], whose: str):
        self.say, self.whose, self._repeated = say, whose, -math.inf
        self.begin("", 0, "")

    def begin(self, what: str, total: int, unit: str, scale: int = 1) -> None:
        """Begins a stage, with a line. `total` and the amounts of `advance` are in units / scale."""
        self.what, self.total, self.unit, self.scale, self.done = what, total, unit, scale, 0
        self._said = time.monotonic()
        self._marks = deque([(self._said, 0)])
        if what:
            self.line(what)

    def advance(self, amount: int) -> None:
        """Records that `amount` more is done."""
        self.done += amount
        now = time.monotonic()
        self._marks.append((now, self.done))
        while now - self._marks[1][0] > WINDOW:
            self._marks.popleft()
        if now - self._said >= EVERY and self.done < self.total:
            self._said = now
            done, total = self.done // self.scale, self.total // self.scale
            self.line(f"{self.what}, {done:,} of {total:,} {self.unit}, {self._left(now)} left")

    def repeat(self, text: Callable[[], str]) -> None:
        """A line about a wait, for which this is called again and again: the first time, and every EVERY seconds."""
        now = time.monotonic()
        if now - self._repeated >= EVERY:
            self._repeated = now
            self.line(text())

    def line(self, text: str) -> None:
        self.say(f"{self.whose}: {text}")

    def _left(self, now: float) -> str:
        began, done = self._marks[0]
        if now <= began or self.done <= done:
            return "unknown time"
        return duration((self.total - self.done) * (now - began) / (self.done - done))


def duration(seconds: float) -> str:
    """A duration in seconds, minutes or hours, whichever is readable."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
