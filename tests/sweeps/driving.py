"""Drivers in processes of their own, what they leave behind, and waiting for what they do."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
MARK = "SWEEP_UNDER_TEST"


def start(file: Path, *words: str) -> tuple[subprocess.Popen, str]:
    """A driver that leads a process group of its own, and the mark that it and all its processes bear."""
    mark = secrets.token_hex(8)
    process = subprocess.Popen(
        [sys.executable, "-m", "sweeps", "run", str(file), *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | {MARK: mark},
    )
    return process, mark


def bears(pid: int, mark: str) -> bool:
    """Whether a process lives and bears the mark."""
    try:
        process = psutil.Process(pid)
        return process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def orphans(mark: str) -> list[int]:
    """Processes that bear the mark."""
    return [pid for pid in psutil.pids() if bears(pid, mark)]


def until(happens: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.time() + seconds
    while not happens():
        assert time.time() < deadline, "it never happened"
        time.sleep(0.05)


def statuses(root: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in (root / "results" / "tiny" / "runs").glob("*/status.json")]
