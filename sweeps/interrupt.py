"""Ctrl-C, SIGTERM, or a terminal that closes: once saves checkpoints and stops, twice stops now."""

from __future__ import annotations

from repro.console.signals import Heeded
from repro.store import stop
from repro.store.folder import Folder


class Interrupt(Heeded):
    """While it is entered, in the main thread, a first signal asks every run of a driver to stop, and a second ends it.

    Args:
        results: the sweep's folder.
        driver: token of the driver.
    """

    def __init__(self, results: Folder, driver: str):
        super().__init__("stopping: the runs at work save a checkpoint first; once more stops now")
        self.results, self.driver = results, driver
        self._told = False

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._told:
            stop.forget(self.results, self.driver)

    def asked(self) -> bool:
        """Whether to stop; the first to ask this after a signal tells the runs."""
        if self.came and not self._told:
            self._told = True
            stop.ask(self.results, self.driver)
        return self.came
