"""torch.compile with settings under which many runs of a process share graphs.

A graph belongs to a shape, not to a model: the weights are among its inputs. So a process that trains one run after the other
compiles each shape once, and PyTorch keeps the code in a folder, where other processes of the machine and later runs find it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Literal

import torch
from filelock import Timeout
from torch._inductor.runtime.cache_dir_utils import default_cache_dir
from torch.utils._filelock import FileLock

from repro.console import homes
from repro.training.hardware import compiler
from repro.training.model import Llama

# Of all shapes of a process, two each; beyond PyTorch's own limit of 8 models would run uncompiled, unsaid.
GRAPHS = 4096


def compile_if(wanted: bool | Literal["auto"], network: Llama, device: torch.device) -> None:
    """Compiles a model if it is wanted, or if "auto" and there is a C++ compiler."""
    if wanted is False or (wanted == "auto" and compiler() is None):
        return
    share()
    config = torch._dynamo.config
    config.recompile_limit = config.accumulated_recompile_limit = GRAPHS
    config.fail_on_recompile_limit_hit = True
    if device.type == "cpu":
        # A lane has one core. By default each process would start one more process for every core, to compile in.
        torch._inductor.config.compile_threads = 1
    network.compile()


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
