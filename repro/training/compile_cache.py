"""Where PyTorch's compiler keeps what it has compiled, for later runs of the same shape on this machine."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from filelock import Timeout
from torch._inductor.runtime.cache_dir_utils import default_cache_dir
from torch.utils._filelock import FileLock

from repro.console import homes

FOLDER = "TORCHINDUCTOR_CACHE_DIR"
_ELF_HEADER = struct.Struct("<4s36xQ10xHH2x")  # magic, offset of the section table, its entries' size and number


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
    remove_unfinished(Path(os.environ[FOLDER]))


def remove_unfinished(folder: Path) -> None:
    """Removes libraries that a linker was killed over; PyTorch takes each one that exists for whole, and fails for good.

    One that another process is making now is left alone: PyTorch holds a lock of its name meanwhile.
    """
    for library in folder.glob("*/*.so"):
        if _whole(library):
            continue
        lock = folder / "locks" / f"{library.name.split('.')[0]}.lock"
        lock.parent.mkdir(exist_ok=True)
        try:
            with FileLock(str(lock), timeout=0):
                if not _whole(library):
                    library.unlink(missing_ok=True)
        except Timeout:
            pass


def _whole(library: Path) -> bool:
    """Whether an ELF library holds its table of sections, which a linker writes last; other kinds pass."""
    try:
        with library.open("rb") as file:
            header = file.read(_ELF_HEADER.size)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:  # another process has removed it
        return True
    if len(header) < _ELF_HEADER.size or header[:4] == bytes(4):
        return False
    magic, offset, entry, entries = _ELF_HEADER.unpack(header)
    return magic != b"\x7fELF" or (bool(offset) and offset + entry * entries <= size)
