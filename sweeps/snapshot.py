"""A sweep at one moment, as text and as a table."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from repro.console.terminal import one_line

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


def clock(seconds: float) -> str:
    """1:02:03, or 2:03; ? of what no sweep lasts."""
    if not 0 <= seconds < LONGEST:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
