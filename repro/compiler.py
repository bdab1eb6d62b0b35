"""The C++ compiler that torch.compile needs, and when `resources.compile: auto` uses it. No torch."""

from __future__ import annotations

import os
import shutil

# Steps of all runs of a shape in a sweep from which compiling it pays: it takes some 30 s, and a small model's step becomes
# some 3 ms shorter (bench/RESULTS.md).
STEPS = 10_000


def compiler() -> str | None:
    """The C++ compiler of this machine; None if there is none."""
    return os.environ.get("CXX") or next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
