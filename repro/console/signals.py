"""Signals that stop a process: the first one after a checkpoint, the second one at once."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from types import FrameType
from typing import Any, Self

HANGUP = getattr(signal, "SIGHUP", None)
SIGNALS = tuple(number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None)


class Heeded:
    """Context manager for the main thread: the first signal is recorded, the second raises KeyboardInterrupt.

    A closed terminal (SIGHUP) counts as one Ctrl-C, however often it is sent; under nohup it stays ignored.

    Args:
        first: the message that the first signal prints.
    """

    def __init__(self, first: str):
        self.first, self.came = first, False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            heeded = [number for number in SIGNALS if number != HANGUP or signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._handle) for number in heeded}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __getstate__(self) -> dict[str, Any]:
        """Without the handlers of before: Ray Tune pickles what its callbacks hold, and Ray Train's handler holds an actor
        of a cluster that may be gone."""
        return {"first": self.first, "came": self.came, "_before": {}}

    def asked(self) -> bool:
        """Whether to stop."""
        return self.came

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == HANGUP:
            let_go_of_terminal()  # before anything is printed: writing to a closed terminal fails
        if self.came:
            if number == HANGUP:  # the kernel and the shell may both send it
                return
            raise KeyboardInterrupt
        self.came = True
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: the signal came in the middle of another print
            print(f"\n{self.first}", flush=True)


def let_go_of_terminal() -> None:
    """Redirects this process's terminal streams to /dev/null; files and pipes stay as they are."""
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
