"""Where caches lie, for users without a home folder too."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from pathlib import Path

# What the libraries ask before they look into the home folder: XDG's is Hugging Face's, Torch's and our own.
CACHES = {
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "MPLCONFIGDIR": "matplotlib",
    "TRITON_CACHE_DIR": "triton",
}
LOGIN_NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")  # in the order of getpass.getuser


def home() -> Path | None:
    """The user's home folder; None where there is none, it is the root folder, or it can't be written."""
    place = os.path.expanduser("~")
    usable = os.path.isabs(place) and os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)
    return Path(place) if usable and os.path.realpath(place) != "/" else None


def cache() -> Path:
    """The folder of this user's caches: XDG_CACHE_HOME, ~/.cache, or a private temporary one without a home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # the XDG specification has relative ones ignored
        return Path(given)
    place = home()
    return place / ".cache" if place else _private() / "cache"


def adapt() -> None:
    """Without a home folder, points the libraries' caches at a private temporary folder; a user without a name gets one."""
    if home() is None:
        for variable, folder in CACHES.items():
            if variable not in os.environ:
                os.environ[variable] = str(_private() / folder)
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:  # a container's user: PyTorch and Ray ask for its name
        if not any(os.environ.get(name) for name in LOGIN_NAMES):
            os.environ["USER"] = f"uid{os.getuid()}"


def _private() -> Path:
    """A temporary folder that only this user reads, the same for all its processes where nobody else has taken its name."""
    place = Path(tempfile.gettempdir()) / f"sparse-scaling-{os.getuid()}"
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        found = place.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            return Path(tempfile.mkdtemp(prefix="sparse-scaling-"))
    return place
