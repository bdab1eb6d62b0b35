"""Where a sweep stands, read from its files alone: from any terminal or machine, whoever trains it."""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from repro.console.terminal import one_line
from repro.errors import UserError
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from sweeps import sweep_json
from sweeps.sweep_json import Planned

REFRESH = 1.0  # seconds between two looks at the files
SILENT = 60.0  # seconds without a word after which a running run is marked
BARS = 20
LONGEST = 1e10  # seconds that are shown as a time


@dataclass(frozen=True)
class Running:
    """A run at work.

    Attributes:
        share: of its steps that are done. tokens_per_second: as it last said; None before it has.
        left: seconds to its end at that speed. silent: seconds since its last word.
        workers: of it. mfu: of its devices; None where their peak isn't known.
        pace: planned cost that a worker of it does in a second, over the median of the runs at work.
    """

    run_id: str
    share: float
    tokens_per_second: float | None
    left: float | None
    silent: float
    workers: int = 1
    mfu: float | None = None
    pace: float | None = None


@dataclass(frozen=True)
class Retried:
    """A run that was begun more than once: how often, and how the attempt before the last ended."""

    run_id: str
    attempts: int
    before: str


@dataclass(frozen=True)
class Snapshot:
    """A sweep at one moment.

    Attributes:
        done, queued: counts. running: the runs at work, the one that ends last first. failed: run ids with reasons.
        retried: the runs that were begun more than once. slowest: id of the run at work of the least pace, where two
        or more have said theirs. mfu: of all devices at work whose peak is known, together.
        rate: tokens a second since training began. elapsed, left: seconds; `left` is None until something is done.
        price_left: what `left` costs; None where no price was given.
    """

    name: str
    done: int
    queued: int
    running: tuple[Running, ...]
    failed: tuple[tuple[str, str], ...]
    rate: float
    elapsed: float
    left: float | None
    price_left: float | None = None
    retried: tuple[Retried, ...] = ()
    slowest: str | None = None
    mfu: float | None = None

    @property
    def line(self) -> str:
        left = "?" if self.left is None else clock(self.left)
        price = "" if self.price_left is None else f", {self.price_left:,.2f} to pay"
        mfu = "" if self.mfu is None else f"MFU {self.mfu:.1%}, "
        return (
            f"{one_line(self.name)}: {self.done} done, {len(self.running)} running, {len(self.failed)} failed, {self.queued} queued, "
            f"{self.rate / 1e3:.0f}k tokens/s, {mfu}{clock(self.elapsed)} elapsed, {left} left{price}"
        )

    def rows(self) -> list[tuple[str, ...]]:
        """A bar for each run at work, the one that ends last first, then the retried and the failed ones."""
        rows: list[tuple[str, ...]] = []
        for run in self.running:
            bar = "#" * round(BARS * run.share)
            speed = "" if run.tokens_per_second is None else f"{run.tokens_per_second / 1e3:.0f}k tokens/s"
            left = "" if run.left is None else f"{clock(run.left)} left"
            silent = f"no word for {clock(run.silent)}" if run.silent > SILENT else ""
            slow = f"the slowest: {run.pace:.0%} of the median pace" if run.run_id == self.slowest else ""
            marks = ", ".join(filter(None, (slow, silent)))
            rows.append((run.run_id, bar.ljust(BARS, "."), f"{run.share:.0%}", speed, left, marks))
        for again in self.retried:
            rows.append(
                (again.run_id, "retried", f"attempt {again.attempts}", "", "", f"before: {one_line(again.before)}")
            )
        return rows + [(run_id, "failed", "", "", "", one_line(reason)) for run_id, reason in self.failed]

    def table(self) -> Group:
        """The line and the rows, to be drawn again and again; as text, since rich would take brackets for its markup."""
        table = Table(box=None, show_header=False)
        for row in self.rows():
            table.add_row(*map(Text, row))
        return Group(Text(self.line), *([table] if table.row_count else []))


class Watcher:
    """Looks at a sweep's files again and again; a run that has ended is not read twice.

    Args:
        place: the results folder.
        name: of the sweep.
        planned: all its runs.
        asked: ids of those that were to be trained when training began; what ended before is only counted.
        began: when that was, seconds since the epoch.
        before: `updated` of the status of each of `asked` at that moment: a status that says another one is newer,
            whatever the clocks say. None, of an older version's driver, compares `updated` with `began`.
        price: of an hour of all the machines at work.
    """

    def __init__(
        self,
        place: Folder,
        name: str,
        planned: Iterable[Planned],
        asked: Iterable[str],
        began: float,
        before: Mapping[str, float | None] | None = None,
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
        """From what a driver left in `sweep.json`.

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
        return bool(status.get("updated") != self.before.get(run_id))

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
                if not status.get("damaged"):  # it may be written anew
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
    """The runs with their paces over the median, and the slowest; a pace alone says nothing."""
    known = [run.pace for run in running if run.pace is not None]
    if len(known) < 2:
        return [replace(run, pace=None) for run in running], None
    median = statistics.median(known) or 1.0
    paced = [replace(run, pace=None if run.pace is None else run.pace / median) for run in running]
    return paced, min(paced, key=lambda run: math.inf if run.pace is None else run.pace).run_id


def _mfu(running: list[Running]) -> float | None:
    """FLOPs of all runs at work over what their devices could do."""
    known = [run for run in running if run.mfu is not None]
    return sum((run.mfu or 0) * run.workers for run in known) / sum(run.workers for run in known) if known else None


def show(results: str, *, as_json: bool = False, once: bool = False, price: float | None = None) -> int:
    """Prints where the sweep of a results folder stands, again and again in a terminal; returns the exit code."""
    if price is not None and not 0 <= price < math.inf:
        raise UserError("no price", key="--price", found=price, expected="that of an hour of all the machines at work")
    watcher, console = Watcher.of(Folder.open(results), price), Console()
    if as_json:
        seen = watcher.look()
        print(json.dumps(asdict(seen) | {"failed": [{"run_id": i, "reason": why} for i, why in seen.failed]}))
    elif once or not console.is_terminal:
        seen = watcher.look()
        print("\n".join([seen.line, *("  " + "  ".join(filter(None, row)) for row in seen.rows())]))
    else:
        with Live(watcher.look().table(), console=console, refresh_per_second=2) as live:
            while (seen := watcher.look()).queued or seen.running:
                live.update(seen.table())
                time.sleep(REFRESH)
            live.update(seen.table())
    sys.stdout.flush()
    return 0


def clock(seconds: float) -> str:
    """1:02:03, or 2:03; ? of what no sweep lasts."""
    if not 0 <= seconds < LONGEST:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
