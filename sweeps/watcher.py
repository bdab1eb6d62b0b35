"""The state of a sweep, read from its files alone: works from any terminal or machine, for any drivers."""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.live import Live

from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.store.status import stamp
from sweeps import sweep_json
from sweeps.snapshot import Retried, Running, Snapshot
from sweeps.sweep_json import Planned

REFRESH = 1.0  # seconds between two reads of the files
LINE = 15.0  # seconds between two lines if the output is no terminal


class Watcher:
    """Reads a sweep's files repeatedly; a run that has ended is not read again.

    Args:
        asked: ids of the runs that were to be trained when training began; runs that ended before are only counted.
        began: start of the training, seconds since the epoch.
        before: the stamp of the status of each of `asked` at that time: a status with another stamp is newer,
            regardless of clocks. None (written by an older version) compares `updated` with `began`.
        price: price per hour of all machines together.
    """

    def __init__(
        self,
        place: Folder,
        name: str,
        planned: Iterable[Planned],
        asked: Iterable[str],
        began: float,
        before: Mapping[str, str | float | None] | None = None,
        price: float | None = None,
    ):
        self.place, self.name, self.began, self.before, self.price = place, name, began, before, price
        wanted = set(asked)
        everything = list(planned)
        self.todo = [run for run in everything if run.run_id in wanted]
        self.ended_before = len(everything) - len(self.todo)
        self._ended: dict[str, dict[str, Any]] = {}

    @classmethod
    def of(cls, place: Folder, price: float | None = None) -> Watcher:
        """The watcher of the sweep described in `sweep.json`.

        Raises:
            UserError: no sweep has begun in this folder.
        """
        found = sweep_json.of(place)
        last = found.training
        return cls(place, found.name, found.planned, last.runs, last.began, last.before, price)

    def _is_new(self, run_id: str, status: Mapping[str, Any]) -> bool:
        """Whether a status was written since training began."""
        if status.get("damaged"):
            return True
        if self.before is None:
            return bool(status.get("updated", 0.0) >= self.began)
        return stamp(status) != self.before.get(run_id)

    def look(self) -> Snapshot:
        """Reads the status of every run that hasn't ended yet."""
        now = time.time()
        running, failed, retried, ended, tokens, spent, last = [], [], [], 0, 0.0, 0.0, self.began
        for run in self.todo:
            status = self._ended.get(run.run_id) or RunFolder(self.place / "runs" / run.run_id).status()
            share = 0.0
            fresh = self._is_new(run.run_id, status)
            if fresh and "attempts" in status:
                retried.append(Retried(run.run_id, status["attempts"], status["before"]))
            if status["state"] in ("done", "failed") and fresh:
                if not status.get("damaged"):  # a damaged status may be rewritten
                    self._ended[run.run_id] = status
                ended += 1
                last = max(last, status["updated"])
                share = 1.0
                if status["state"] == "failed":
                    failed.append((run.run_id, status["reason"]))
            elif status["state"] == "running" and fresh:
                share = status["step"] / status["total_steps"]
                speed = status.get("tokens_per_second")
                left = (1 - share) * run.tokens / speed if speed else None
                workers = status.get("workers", 1)
                pace = speed * run.cost / run.tokens / workers if speed and run.tokens else None
                silent = max(0.0, now - status["updated"])  # a clock may have been set
                running.append(Running(run.run_id, share, speed, left, silent, workers, status.get("mfu"), pace))
            tokens += share * run.tokens
            spent += share * run.cost
        running, slowest = _paced(running)
        queued = len(self.todo) - ended - len(running)
        elapsed = max(0.0, (now if queued or running else last) - self.began)
        whole = sum(run.cost for run in self.todo)
        left = 0.0 if not (queued or running) else elapsed * (whole - spent) / spent if spent else None
        return Snapshot(
            name=self.name,
            done=self.ended_before + ended - len(failed),
            queued=queued,
            running=tuple(sorted(running, key=lambda r: -(r.left or 0.0))),
            failed=tuple(failed),
            rate=tokens / elapsed if elapsed > 0 else 0.0,
            elapsed=elapsed,
            left=left,
            price_left=None if self.price is None or left is None else self.price * left / 3600,
            retried=tuple(retried),
            slowest=slowest,
            mfu=_mfu(running),
        )


def _paced(running: list[Running]) -> tuple[list[Running], str | None]:
    """The runs with their paces relative to the median, and the slowest; a single pace has nothing to compare with."""
    known = [run.pace for run in running if run.pace is not None]
    if len(known) < 2:
        return [replace(run, pace=None) for run in running], None
    median = statistics.median(known) or 1.0
    paced = [replace(run, pace=None if run.pace is None else run.pace / median) for run in running]
    return paced, min(paced, key=lambda run: math.inf if run.pace is None else run.pace).run_id


def _mfu(running: list[Running]) -> float | None:
    """MFU over all running runs: their FLOP/s over their devices' peak."""
    known = [run for run in running if run.mfu is not None]
    return sum((run.mfu or 0) * run.workers for run in known) / sum(run.workers for run in known) if known else None


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
