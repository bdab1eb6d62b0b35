"""Provenance of results: commit, package versions and hardware."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

COMMIT = "SPARSE_SCALING_COMMIT"  # environment variable with the commit, for code without its git history
PACKAGES = ("torch", "deepspeed", "ray", "transformers", "tokenizers", "datasets", "pyarrow", "numpy", "scipy")


@functools.cache
def provenance() -> dict[str, Any]:
    """commit (null outside a checkout, `+changes` if it has uncommitted changes), versions and hardware."""
    return {"commit": _commit(), "python": platform.python_version(), "versions": _versions(), "hardware": hardware()}


@functools.cache
def hardware() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cpu": _cpu(), "cores": os.cpu_count(), "memory_gib": round(pages / 2**30, 1), "gpu": _gpu()}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> str | None:
    if _versions().get("torch", "").endswith("+cpu"):
        return None  # without the seconds that it takes to import
    try:
        import torch
    except ImportError:
        return None
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _commit() -> str | None:
    root = Path(__file__).parents[2]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        # Installed, and another project's history lies above.
        if Path(git("rev-parse", "--show-toplevel")) != root.resolve():
            return os.environ.get(COMMIT) or None
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get(COMMIT) or None
