"""The state of a sweep at one moment, as text and as a table."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from repro.console.terminal import one_line

SILENT = 60.0  # seconds without an update after which a running run is marked
BARS = 20
LONGEST = 1e10  # seconds; longer durations are shown as ?


@dataclass(frozen=True)
class Running:
    """A running run.

    Attributes:
        share: share of its steps that are done. tokens_per_second: last reported throughput; None before the first.
        left: seconds to its end at that throughput. silent: seconds since its last update.
        workers: number of its workers. mfu: MFU of its devices; None if their peak is unknown.
        pace: planned cost per second and worker, relative to the median of the running runs.
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
    """A run that was started more than once: the number of attempts, and how the one before the last ended."""

    run_id: str
    attempts: int
    before: str


@dataclass(frozen=True)
class Snapshot:
    """The state of a sweep at one moment.

    Attributes:
        done, queued: counts. running: the running runs, last to end first. failed: run ids with reasons.
        retried: the runs that were started more than once. slowest: id of the running run with the lowest pace, if at
        least two paces are known. mfu: over all busy devices with a known peak.
        rate: tokens per second since training began. elapsed, left: seconds; `left` is None until there is progress.
        price_left: cost of `left`; None if no price was given.
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
        price = "" if self.price_left is None else f", {self.price_left:,.2f} remaining cost"
        mfu = "" if self.mfu is None else f"MFU {self.mfu:.1%}, "
        return (
            f"{one_line(self.name)}: {self.done} done, {len(self.running)} running, {len(self.failed)} failed, {self.queued} queued, "
            f"{self.rate / 1e3:.0f}k tokens/s, {mfu}{clock(self.elapsed)} elapsed, {left} left{price}"
        )

    def rows(self) -> list[tuple[str, ...]]:
        """A progress bar for each running run, last to end first, then the retried and the failed runs."""
        rows: list[tuple[str, ...]] = []
        for run in self.running:
            bar = "#" * round(BARS * run.share)
            speed = "" if run.tokens_per_second is None else f"{run.tokens_per_second / 1e3:.0f}k tokens/s"
            left = "" if run.left is None else f"{clock(run.left)} left"
            silent = f"no update for {clock(run.silent)}" if run.silent > SILENT else ""
            slow = f"the slowest: {run.pace:.0%} of the median pace" if run.run_id == self.slowest else ""
            marks = ", ".join(filter(None, (slow, silent)))
            rows.append((run.run_id, bar.ljust(BARS, "."), f"{run.share:.0%}", speed, left, marks))
        for again in self.retried:
            rows.append(
                (again.run_id, "retried", f"attempt {again.attempts}", "", "", f"before: {one_line(again.before)}")
            )
        return rows + [(run_id, "failed", "", "", "", one_line(reason)) for run_id, reason in self.failed]

    def table(self) -> Group:
        """The line and the rows for a live display; wrapped in Text, since rich parses brackets as markup."""
        table = Table(box=None, show_header=False)
        for row in self.rows():
            table.add_row(*map(Text, row))
        return Group(Text(self.line), *([table] if table.row_count else []))


def clock(seconds: float) -> str:
    """1:02:03 or 2:03; ? for negative and implausibly long durations."""
    if not 0 <= seconds < LONGEST:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
