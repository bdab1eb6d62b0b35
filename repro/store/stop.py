"""Asks the runs of a driver to save a checkpoint and stop, by a file, which works on every machine and store."""

from __future__ import annotations

from repro.store.folder import Folder


def ask(results: Folder, driver: str) -> None:
    """Asks every run that `driver` has started. `results` is the sweep's folder."""
    results.write(_name(driver), b"")


def is_asked(results: Folder, driver: str) -> bool:
    return results.exists(_name(driver))


def forget(results: Folder, driver: str) -> None:
    """Withdraws the request after the driver has ended."""
    results.delete(_name(driver))


def _name(driver: str) -> str:
    return f"stop-{driver}"
