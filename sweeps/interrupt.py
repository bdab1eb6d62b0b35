"""Ctrl-C, or SIGTERM: once saves checkpoints and stops, twice stops now."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from repro import stop
from repro.storage import Folder

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While it is entered, in the main thread, a first signal asks every run of a driver to stop, and a second ends it.

    Args:
        results: the sweep's folder.
        driver: token of the driver.
    """

    def __init__(self, results: Folder, driver: str):
        self.results, self.driver = results, driver
        self.came = self._told = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._told:
            stop.forget(self.results, self.driver)

    def asked(self) -> bool:
        """Whether to stop; the first to ask this after a signal tells the runs."""
        if self.came and not self._told:
            self._told = True
            stop.ask(self.results, self.driver)
        return self.came

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True
        print("\nstopping: the runs at work save a checkpoint first; once more stops now", flush=True)
