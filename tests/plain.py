"""The environment of processes that are told nothing of a Ray cluster, of its token or of its address."""

from __future__ import annotations

import os

PRIORITY = "RAY_worker_niceness"  # set in conftest.py


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_") or name == PRIORITY}
