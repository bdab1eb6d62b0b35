"""The build folder: hidden beside the corpus, kept if the build is killed, deleted once the corpus is complete."""

from __future__ import annotations

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
    from filelock import FileLock, Timeout

    lock, misses = FileLock(folder / "lock"), 0
    while not lock.is_locked:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            waits()
            time.sleep(POLL)
        except (FileNotFoundError, FileExistsError):  # another process has removed it in between
            misses += 1
            if misses == MISSES:
                raise
    try:
        yield
    finally:
        lock.release()


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
