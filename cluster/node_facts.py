"""Functions that the doctor runs on every node of the cluster, as Ray tasks and actors."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from cluster.versions import installed
from repro.errors import UserError
from repro.store.folder import Folder
from repro.training.hardware import compiler

PATIENCE = timedelta(seconds=60)  # for one worker to wait for the other


def facts(packages: Iterable[str], folders: Iterable[str]) -> dict[str, Any]:
    """Facts about this node.

    Args:
        packages: packages whose versions to report.
        folders: local paths whose free space to report, or that of their nearest existing parent.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "versions": {name: found.split("+")[0] for name, found in installed(packages).items()},  # without +cpu
        "gpus": _gpus(),
        "compiler": compiler(),
        "memory": memory(),
        "cores": len(os.sched_getaffinity(0)),
        "open_files": (soft, hard),
        "disk": {folder: shutil.disk_usage(_existing(folder)).free for folder in (tempfile.gettempdir(), *folders)},
        "listens": listens(),
        "tokens": os.environ.get("RAY_AUTH_MODE", "").lower() == "token",
    }


def memory() -> int:
    """Available bytes: the minimum over machine, container and process limits."""
    free = [psutil.virtual_memory().available]
    with suppress(OSError, ValueError):  # no cgroup v2, or "max"
        group = Path("/sys/fs/cgroup")
        free.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            free.append(soft)
    return min(free)


def listens() -> list[tuple[str, int, str]]:
    """(address, port, process name if readable) of every listening TCP port."""
    found = []
    for link in psutil.net_connections("tcp"):
        if link.status == psutil.CONN_LISTEN:
            name = ""
            with suppress(psutil.Error):
                name = psutil.Process(link.pid).name() if link.pid else ""
            found.append((link.laddr.ip, link.laddr.port, name))
    return found


def now() -> float:
    """This node's clock."""
    return time.time()


def exists(path: str) -> bool:
    """Whether this node sees a local folder."""
    return os.path.isdir(path)


def write(uri: str, name: str) -> str | None:
    """Writes a file that contains its name; returns the error, if any."""
    try:
        Folder.open(uri).write(name, name.encode())
    except (OSError, UserError) as error:
        return " ".join(str(error).split())
    return None


def missing(uri: str, names: list[str]) -> list[str]:
    """The files in `names` that this node can't read back."""
    lost = []
    for name in names:
        try:
            if Folder.open(uri).read(name) != name.encode():
                lost.append(name)
        except (OSError, UserError):
            lost.append(name)
    return lost


def clear(uri: str, parents: list[str]) -> None:
    """Removes a folder, and then those of `parents`, innermost first, that are empty."""
    with suppress(OSError, UserError):
        Folder.open(uri).delete()
        for parent in map(Folder.open, parents):
            if not parent.names():
                parent.delete()


class Worker:
    """One of two workers in an all-reduce test."""

    def address(self) -> str:
        """HOST:PORT for the rendezvous with this worker."""
        import ray

        with socket.socket() as listener:
            listener.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{listener.getsockname()[1]}"

    def add(self, rank: int, meet: str, backend: str) -> float:
        """The sum over both workers of rank + 1."""
        import torch
        import torch.distributed as dist

        device = "cuda" if backend == "nccl" else "cpu"
        dist.init_process_group(backend, init_method=f"tcp://{meet}", rank=rank, world_size=2, timeout=PATIENCE)
        number = torch.full((1024,), rank + 1.0, device=device)
        dist.all_reduce(number)
        total = float(number.mean())
        dist.destroy_process_group()
        return total


def _gpus() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        return {"names": [], "memory": [], "nccl": None}
    of = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    nccl = ".".join(map(str, torch.cuda.nccl.version()))
    return {"names": [g.name for g in of], "memory": [g.total_memory for g in of], "nccl": nccl}


def _existing(folder: str) -> Path:
    return next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
