"""Where PyTorch's compiler keeps what it has compiled, for later runs of the same shape on this machine."""

from __future__ import annotations

import os

from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from repro.console import homes

FOLDER = "TORCHINDUCTOR_CACHE_DIR"


def share() -> None:
    """Makes this process keep compiled code in this user's cache folder, unless the user has named another one in FOLDER.

    All processes of a machine share it, whichever Ray started them. Code is loaded from there, so only this user may
    write to it: PyTorch's default is a folder of a known name in /tmp, which anybody can make first. PyTorch also writes
    that default to FOLDER when it is imported, which processes inherit.
    """
    if os.environ.get(FOLDER) in (None, default_cache_dir()):
        folder = homes.cache() / "sparse-scaling" / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        os.environ[FOLDER] = str(folder)
