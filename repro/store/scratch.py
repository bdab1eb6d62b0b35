"""Scratch: hidden files and folders that become the named one when complete, and those that killed processes left."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import psutil


@contextmanager
def scratch(target: str, place: Callable[[str, str], object] = os.replace) -> Iterator[IO[bytes]]:
    """A file to write, which `place` puts at `target`, synced to disk, when the block ends; gone if the block fails."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    # Not named after the target: programs that search files by name, such as TensorBoard, mustn't find it.
    path = f"{os.path.dirname(target)}/.{writer()}.tmp"
    try:
        with open(path, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        place(path, target)
    finally:
        if os.path.exists(path):
            os.unlink(path)


def writer() -> str:
    """Part of scratch file names that identifies this process and file."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def scratch_prefix(name: str) -> str:
    """Name prefix of a hidden scratch folder that is renamed to `name` when complete."""
    return f".{name}.{writer()}.tmp"


def is_orphan(name: str) -> bool:
    """Whether a file or folder is scratch of a process of this machine that no longer exists."""
    found = re.search(rf"\.{re.escape(socket.gethostname())}-(\d{{1,9}})-[0-9a-f]{{8}}\.tmp", name)
    return found is not None and not psutil.pid_exists(int(found[1]))
