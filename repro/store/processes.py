"""Which process wrote something, told by what no step of the clock changes: the machine's boot and the start in ticks."""

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
    """This process: `host`, `pid`, `table` (of processes, in which the number means something) and `start`."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "table": table(), "start": start(pid)}


def lives(said: Mapping[str, Any], at: object = None) -> bool | None:
    """Whether the process that `mine` described is still there; None where that can't be told from here.

    It can't where it ran on another host, before this host's last start, or in another container, whatever that is
    called, nor of a process that this user may not see.

    Args:
        said: what `mine` gave, or what an older version wrote: `host` and `pid`.
        at: seconds since the epoch at which it was there, for what an older version wrote.
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
    """Names the table of processes that this one is in: the boot and the namespace; "" where the system has no names."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def start(pid: int) -> str | None:
    """When a process began, by a clock that isn't set; None where it is gone, a zombie or hidden from this user."""
    try:
        # Its second field, the command in brackets, may hold anything; the 3rd is the state, the 22nd the start.
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
        # One that began later has only inherited the number.
        return process.create_time() <= at and process.status() not in GONE
    except psutil.AccessDenied:
        return None
    except psutil.NoSuchProcess:
        return None if _is_hidden(pid) else False


def _is_hidden(pid: int) -> bool:
    """Whether there is such a process of another user, of which /proc shows this one nothing."""
    try:
        os.kill(pid, 0)  # asks without doing anything
    except PermissionError:
        return not (PROC / str(pid)).exists()
    except OSError:
        pass
    return False
