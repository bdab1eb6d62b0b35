"""The build folder: hidden beside the corpus, kept if the build is killed, deleted once the corpus is complete."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repro.store.folder import Folder

STARTED = "started.json"
POLL = 1.0  # seconds
MISSES = 1000  # a folder that is missing so often is not being removed: something else is in its place


def build_dir_name(corpus: str) -> str:
    """Name of a corpus folder's build folder."""
    return f".{corpus}.build"


@contextmanager
def exclusive(folder: Path, waits: Callable[[], object]) -> Iterator[None]:
    """Locks `folder`, created if missing, against other processes; the kernel frees the lock of a killed one.

    waits: called every POLL seconds while another process holds the lock.
    """
    lock, misses = folder / "lock", 0
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = lock.open("w")
        except (FileNotFoundError, FileExistsError):
            misses += 1
            if misses == MISSES:
                raise
            continue  # another process has removed it in between
        with file:
            while not _locked(file.fileno()):
                waits()
                time.sleep(POLL)
            if _is_at(lock, file.fileno()):
                yield
                return


def _is_at(lock: Path, descriptor: int) -> bool:
    """Whether an open lock is still the one at its path: its holder may have removed it, and another process made anew."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def resume_or_clear(own: Path, work: Folder, kind: dict[str, Any]) -> bool:
    """Whether the two folders hold an earlier build of the same `kind`, to be resumed; otherwise they are cleared."""
    mine = Folder.open(own)
    if work.exists(STARTED) and mine.exists(STARTED) and work.read_json(STARTED) == mine.read_json(STARTED) == kind:
        return True
    for folder in (mine, work):
        clear(folder)
        folder.write_json(STARTED, kind)
    return False


def clear(folder: Folder) -> None:
    """Deletes everything but the lock."""
    for name in folder.names():
        if name != "lock":
            folder.delete(name)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
