"""Live progress of a sweep in the terminal, read from the runs' own status files."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from repro.run_folder import RunFolder
from repro.spec import RunSpec
from repro.storage import Folder
from sweeps.grid import Sweep

REFRESH = 1.0  # seconds between two looks at the files
LINE = 15.0  # seconds between two lines where there is no terminal to redraw


class Progress:
    """Shows done, running, failed and queued runs, tokens a second and the time left while it is entered.

    Args:
        place: the sweep's results folder.
        sweep: all its runs.
        todo: those that are to be trained now, in order.
    """

    def __init__(self, place: Folder, sweep: Sweep, todo: list[RunSpec]):
        from sweeps.run import cost

        self.name, self.before = sweep.name, len(sweep.runs) - len(todo)
        self.todo = {s.run_id: (RunFolder(place / "runs" / s.run_id), s.tokens, cost(s)) for s in todo}
        self.ended: dict[str, dict[str, Any]] = {}
        self.began, self.console = time.time(), Console(stderr=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        if self.console.is_terminal:
            with Live(self._table(), console=self.console, refresh_per_second=2) as live:
                while not self._stop.wait(REFRESH):
                    live.update(self._table())
                live.update(self._table())
            return
        printed = 0.0
        while not self._stop.wait(REFRESH):
            if time.time() - printed >= LINE:
                printed = time.time()
                print(self._line(), flush=True)
        print(self._line(), file=sys.stdout, flush=True)

    def _look(self) -> dict[str, Any]:
        """Counts, rates and the runs at work now."""
        running, tokens, spent = {}, 0.0, 0.0
        for run_id, (folder, run_tokens, cost) in self.todo.items():
            status = self.ended.get(run_id) or folder.status()
            share = 0.0
            if status["state"] in ("done", "failed") and status["updated"] >= self.began:
                self.ended[run_id] = status
                share = 1.0
            elif status["state"] == "running" and status["updated"] >= self.began:
                running[run_id] = status
                share = status["step"] / status["total_steps"]
            tokens += share * run_tokens
            spent += share * cost
        elapsed = time.time() - self.began
        whole = sum(cost for _, _, cost in self.todo.values())
        left = elapsed * (whole - spent) / spent if spent else None
        failed = sum(s["state"] == "failed" for s in self.ended.values())
        return {
            "done": self.before + len(self.ended) - failed,
            "failed": failed,
            "running": running,
            "queued": len(self.todo) - len(self.ended) - len(running),
            "rate": tokens / elapsed,
            "left": left,
            "elapsed": elapsed,
        }

    def _line(self) -> str:
        seen = self._look()
        left = "?" if seen["left"] is None else _clock(seen["left"])
        return (
            f"{self.name}: {seen['done']} done, {len(seen['running'])} running, {seen['failed']} failed, {seen['queued']} queued, "
            f"{seen['rate'] / 1e3:.0f}k tokens/s, {_clock(seen['elapsed'])} elapsed, {left} left"
        )

    def _table(self) -> Table:
        seen = self._look()
        table = Table(title=self._line(), title_justify="left", box=None, show_header=False)
        for run_id, status in seen["running"].items():
            share = status["step"] / status["total_steps"]
            table.add_row(run_id, "#" * round(20 * share) + "." * (20 - round(20 * share)), f"{share:.0%}")
        return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
