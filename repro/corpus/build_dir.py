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


def build_dir_name(corpus: str) -> str:
    """Name of a corpus folder's build folder."""
    return f".{corpus}.build"


@contextmanager
def exclusive(folder: Path, waits: Callable[[], object]) -> Iterator[None]:
    """Locks `folder`, created if missing, against other processes; the kernel frees the lock of a killed one.

    waits: called every POLL seconds while another process holds the lock.
    """
    lock = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            while not _locked(file.fileno()):
                waits()
                time.sleep(POLL)
            # The previous holder may have deleted the folder, and another process may have recreated it.
            if lock.exists() and os.path.samestat(lock.stat(), os.fstat(file.fileno())):
                yield
                return


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
