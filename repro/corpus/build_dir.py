"""The work folder of a build: hidden beside the corpus, kept when the build is killed, gone when it is whole."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repro.store.folder import Folder

STARTED = "started.json"


def work_name(corpus: str) -> str:
    """Name of the work folder of a corpus folder."""
    return f".{corpus}.build"


@contextmanager
def alone(folder: Path, waits: Callable[[], object]) -> Iterator[None]:
    """Keeps other processes of this machine out of `folder`, which is made if need be. waits: called before waiting."""
    lock = folder / "lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waits()
                fcntl.flock(file, fcntl.LOCK_EX)
            # Who held it may have removed the folder, and another may have made it anew.
            if lock.exists() and os.path.samestat(lock.stat(), os.fstat(file.fileno())):
                yield
                return


def go_on(own: Path, work: Folder, kind: dict[str, Any]) -> bool:
    """Whether what an earlier build has left in the two folders is of this kind and serves; else it is removed."""
    mine = Folder.open(own)
    if work.exists(STARTED) and mine.exists(STARTED) and work.read_json(STARTED) == mine.read_json(STARTED) == kind:
        return True
    for folder in (mine, work):
        empty(folder)
        folder.write_json(STARTED, kind)
    return False


def empty(folder: Folder) -> None:
    """Removes all but the lock."""
    for name in folder.names():
        if name != "lock":
            folder.delete(name)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
