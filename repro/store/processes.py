"""Identifies processes independently of clock changes: by the machine's boot id and the start time in ticks."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psutil

PROC = Path("/proc")
GONE = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
_STATES = {"Z", "X", "x"}  # of /proc/PID/stat: a zombie, or dead


def mine() -> dict[str, Any]:
    """This process: `host`, `pid`, `table` (the process table in which the pid is valid) and `start`."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "table": table(), "start": start(pid)}


def lives(said: Mapping[str, Any], at: object = None) -> bool | None:
    """Whether the process described by `mine` still exists; None if that can't be determined.

    It can't for a process on another host, before this host's last boot, in another container (whatever its host
    name), or hidden from this user.

    Args:
        said: the result of `mine`, or of an older version: `host` and `pid`.
        at: a time at which it existed, in seconds since the epoch; for older versions.
    """
    pid = said.get("pid")
    if type(pid) is not int or not 0 < pid < 2**31 or said.get("host") != socket.gethostname():
        return None
    if "table" not in said:
        return _lived(pid, at)
    if said["table"] != table():
        return None
    found = start(pid)
    return found == said.get("start") if found or not _is_hidden(pid) else None


@cache
def table() -> str:
    """Identifies this process's process table by boot id and PID namespace; "" if the system has no such names."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def start(pid: int) -> str | None:
    """A process's start time on a monotonic clock; None if it is gone, a zombie or hidden from this user."""
    try:
        # The second field, the command in brackets, may contain anything; the 3rd is the state, the 22nd the start.
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] in _STATES else fields[19]
    except (OSError, IndexError):
        if PROC.joinpath("self/stat").exists():
            return None
    try:  # a system without /proc
        process = psutil.Process(pid)
        return None if process.status() in GONE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def _lived(pid: int, at: object) -> bool | None:
    if not isinstance(at, (int, float)):
        return None
    try:
        process = psutil.Process(pid)
        # A process that began later has only reused the pid.
        return process.create_time() <= at and process.status() not in GONE
    except psutil.AccessDenied:
        return None
    except psutil.NoSuchProcess:
        return None if _is_hidden(pid) else False


def _is_hidden(pid: int) -> bool:
    """Whether the process exists but belongs to another user and is hidden in /proc."""
    try:
        os.kill(pid, 0)  # only checks for existence
    except PermissionError:
        return not (PROC / str(pid)).exists()
    except OSError:
        pass
    return False
