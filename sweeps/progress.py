"""Live progress of a sweep in the terminal of its driver."""

from __future__ import annotations

import contextlib
import threading
import time

from rich.console import Console
from rich.live import Live

from sweeps.watcher import REFRESH, Watcher

LINE = 15.0  # seconds between two lines if the output is no terminal


class Progress:
    """Context manager that shows a sweep's progress: redrawn in a terminal, otherwise a line every LINE seconds."""

    def __init__(self, watcher: Watcher):
        self.watcher, self.console = watcher, Console(stderr=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # a lost terminal or store must not end the training
            self._show()

    def _show(self) -> None:
        if self.console.is_terminal:
            with Live(self.watcher.look().table(), console=self.console, refresh_per_second=2) as live:
                while not self._stop.wait(REFRESH):
                    live.update(self.watcher.look().table())
                live.update(self.watcher.look().table())
            return
        printed = 0.0
        while not self._stop.wait(REFRESH):
            if time.monotonic() - printed >= LINE:
                printed = time.monotonic()
                print(self.watcher.look().line, flush=True)
        print(self.watcher.look().line, flush=True)
