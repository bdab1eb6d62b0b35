"""Cache folders, also for users without a home folder."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from pathlib import Path

# Variables that libraries check before the home folder; Hugging Face, Torch and this project use the XDG ones.
CACHES = {
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "MPLCONFIGDIR": "matplotlib",
    "TRITON_CACHE_DIR": "triton",
}
LOGIN_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # in the order of getpass.getuser


def home() -> Path | None:
    """The user's home folder; None if it doesn't exist, is the root folder or isn't writable."""
    place = os.path.expanduser("~")
    usable = os.path.isabs(place) and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)
    return Path(place) if usable and os.path.realpath(place) != "/" else None


def cache() -> Path:
    """This user's cache folder: XDG_CACHE_HOME, ~/.cache, or without a home a private temporary folder."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # the XDG specification says to ignore relative paths
        return Path(given)
    place = home()
    return place / ".cache" if place else _private() / "cache"


def adapt() -> None:
    """Without a home folder, points libraries' caches to a private temporary folder; names a user without a name."""
    if home() is None:
        for variable, folder in CACHES.items():
            if variable not in os.environ:
                os.environ[variable] = str(_private() / folder)
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:  # a container's user: PyTorch and Ray need its name
        if not any(os.environ.get(name) for name in LOGIN_NAMES):
            os.environ["USER"] = f"uid{os.getuid()}"


def _private() -> Path:
    """A temporary folder that only this user can read, shared by its processes unless someone else owns that name."""
    place = Path(tempfile.gettempdir()) / f"sparse-scaling-{os.getuid()}"
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            return Path(tempfile.mkdtemp(prefix="sparse-scaling-"))
    return place
