"""`python -m sweeps status`: a sweep's progress."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import time
from dataclasses import asdict
from typing import Any

from repro.console import commands
from repro.console.options import JSON, RESULTS, earlier
from repro.errors import UserError

EXAMPLES = (
    ("results/quick", "from another terminal, or another machine"),
    ("results/quick --json", "once, for a program"),
)


def add_parser(verbs: Any) -> None:
    """Adds the verb to an `argparse` command."""
    does = "Shows a sweep's progress, read from its files alone, and goes on while runs are open."
    parser = commands.add(verbs, "status", does, EXAMPLES)
    RESULTS.add(parser)
    parser.add_argument("--once", action="store_true", help="print once instead of refreshing")
    parser.add_argument(
        "--price-per-hour", type=float, metavar="PRICE",
        help="price of an hour of all machines together, in any currency; the remaining cost is shown (default: it isn't)",
    )  # fmt: skip
    earlier(parser, "--price", "--price-per-hour")
    JSON.add(parser, "once")
    parser.set_defaults(main=main)


def main(given: argparse.Namespace) -> int:
    """Prints the progress once, or as JSON, or refreshes it in a terminal; returns the exit code."""
    with contextlib.suppress(KeyboardInterrupt):
        _show(given, given.price_per_hour)
    return 0


def _show(given: argparse.Namespace, price: float | None) -> None:
    from rich.console import Console
    from rich.live import Live

    from repro.store.folder import Folder
    from sweeps.watcher import REFRESH, Watcher

    if price is not None and not 0 <= price < math.inf:
        expected = "the price per hour of all machines together"
        raise UserError("not a price", key="--price-per-hour", found=price, expected=expected)
    watcher, console = Watcher.of(Folder.open(given.results), price), Console()
    if given.json:
        seen = watcher.look()
        print(json.dumps(asdict(seen) | {"failed": [{"run_id": i, "reason": why} for i, why in seen.failed]}))
    elif given.once or not console.is_terminal:
        seen = watcher.look()
        print("\n".join([seen.line, *("  " + "  ".join(filter(None, row)) for row in seen.rows())]))
    else:
        with Live(watcher.look().table(), console=console, refresh_per_second=2) as live:
            while (seen := watcher.look()).queued or seen.running:
                live.update(seen.table())
                time.sleep(REFRESH)
            live.update(seen.table())
    sys.stdout.flush()
