"""`sweeps status`: prints the progress of a sweep once, or as JSON, or redraws it in a terminal."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict

from rich.console import Console
from rich.live import Live

from repro.errors import UserError
from repro.store.folder import Folder
from sweeps.watcher import REFRESH, Watcher


def show(results: str, *, as_json: bool = False, once: bool = False, price: float | None = None) -> int:
    """Prints the progress of the sweep in a results folder, refreshed in a terminal; returns the exit code."""
    if price is not None and not 0 <= price < math.inf:
        raise UserError(
            "not a price", key="--price-per-hour", found=price, expected="the price per hour of all machines together"
        )
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
