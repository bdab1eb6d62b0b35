"""Ctrl-C, SIGTERM or SIGHUP: the first saves checkpoints and stops, the second stops at once."""

from __future__ import annotations

from repro.console.signals import Heeded
from repro.store import stop
from repro.store.folder import Folder


class Interrupt(Heeded):
    """Context manager for the main thread: the first signal asks every run of a driver to stop, the second ends it.

    Args:
        results: the sweep's results folder.
        driver: the driver's token.
    """

    def __init__(self, results: Folder, driver: str):
        super().__init__("stopping: running runs save a checkpoint first; once more stops now")
        self.results, self.driver = results, driver
        self._told = False

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._told:
            stop.forget(self.results, self.driver)

    def asked(self) -> bool:
        """Whether to stop; the first call after a signal also notifies the runs."""
        if self.came and not self._told:
            self._told = True
            stop.ask(self.results, self.driver)
        return self.came
