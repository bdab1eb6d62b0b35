"""Asking the runs of one driver to save a checkpoint and stop, by a file: it reaches every machine and every store."""

from __future__ import annotations

from repro.storage import Folder

FILE = "stop.json"


def ask(results: Folder, driver: str) -> None:
    """Asks every run that `driver` has started. `results` is the sweep's folder."""
    results.write_json(FILE, {"driver": driver})


def is_asked(results: Folder, driver: str) -> bool:
    return results.exists(FILE) and bool(results.read_json(FILE)["driver"] == driver)


def forget(results: Folder) -> None:
    """Removes what a driver that has ended has asked."""
    results.delete(FILE)
