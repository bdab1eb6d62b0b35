"""Compares installed versions with requirements.lock; a submitted sweep prints the result before it starts."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from repro.errors import UserError

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
MATTER = ("ray", "torch", "deepspeed", "transformers", "tokenizers", "pyarrow", "numpy")


def locked() -> dict[str, str]:
    """Package -> version, for all packages in requirements.lock. Raises UserError outside of a checkout."""
    if not LOCK.is_file():
        expected = "this command called in the checkout"
        raise UserError("not in a checkout", file=LOCK, found="no such file", expected=expected)
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Versions of packages, as far as they are installed."""
    found = {}
    for package in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def differences() -> list[str]:
    """A line for each package in MATTER whose version differs from requirements.lock."""
    wanted = locked()
    found = dict.fromkeys(MATTER, "missing") | installed(MATTER)
    # "+cpu" and the like name a build, not a version.
    return [
        f"{name} {found[name]}, requirements.lock has {wanted[name]}"
        for name in MATTER
        if name in wanted and found[name].split("+")[0] != wanted[name].split("+")[0]
    ]


if __name__ == "__main__":
    different = differences()
    print(f"python {platform.python_version()}; packages {'differ from' if different else 'as in'} requirements.lock")
    for line in different:
        print(f"  {line}")
