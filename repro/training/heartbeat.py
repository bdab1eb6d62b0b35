"""The heartbeat of a run: a thread that reports progress and checks whether the run should stop, so that no step waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from repro.store.rhythm import rhythm_of
from repro.store.run_folder import RunFolder

log = logging.getLogger(__name__)


class Heartbeat:
    """Context manager: updates status.json and looks for a request to stop, every few seconds, in a thread of its own.

    What fails is logged and tried again at the next beat: a status never ends a run. Once the context is left, nothing is
    written any more.

    Args:
        place: the run's folder.
        facts: returns the current facts of a running run, for its status; None if there are none yet.
        asked: returns whether the run has been asked to stop; may take as long as a store takes to answer.

    Attributes:
        stop: whether it has been.
    """

    def __init__(self, place: RunFolder, facts: Callable[[], dict[str, Any] | None], asked: Callable[[], bool]):
        self.place, self.facts, self.asked = place, facts, asked
        self.stop = False
        self._told: dict[str, Any] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        pause = rhythm_of(self.place.folder).beat
        while not self._over.wait(pause):
            try:
                self._beat()
            except Exception as error:
                log.warning("%s: no heartbeat: %s", self.place.folder, error)

    def _beat(self) -> None:
        self.stop = self.stop or self.asked()
        facts = self.facts()
        # A rank that failed may have written `failed` meanwhile, and that is the run's last word.
        if facts is not None and facts != self._told and self.place.status()["state"] == "running":
            self.place.progress("running", **facts)
            self._told = facts
