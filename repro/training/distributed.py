"""The device of a run, its kernels, and the process group in which DeepSpeed trains it."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

from repro.errors import UserError
from repro.resources import Resources

# How long a collective may wait for a rank. Longer than anything that a rank does while others wait: rank 0's saving
# of a checkpoint, also where the store stutters (7 GB at 20 MB/s: 6 minutes), and compilation of a new graph. A rank that
# has died is noticed by Ray within seconds; so this ends only what hangs: a lost network, or ranks out of step.
TIMEOUT = timedelta(minutes=15)


def device_of(resources: Resources) -> torch.device:
    """The device that `resources` requests. Raises UserError if it requests a GPU and there is none."""
    if resources.device == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU here", key="resources.device", found="cuda", expected="cpu or auto")
    use_gpu = resources.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if use_gpu else torch.device("cpu")


@functools.cache
def _freeze() -> None:
    """Leaves what the process has imported out of all garbage collections from now on: half a million objects.

    Every run ends with a collection, which would take as long as the rest of a small run's start and end together.
    """
    gc.freeze()


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """A process group for DeepSpeed: the one that Ray Train made, or a group of one.

    The group is destroyed through DeepSpeed, which keeps module-level references to groups: otherwise the
    process's next run would use a dead group and fail ("Group is not registered").
    """
    # DeepSpeed picks its accelerator from this variable when it is first imported.
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    os.environ.setdefault("DEEPSPEED_LOG_LEVEL", "warning")
    import deepspeed
    import deepspeed.ops
    from deepspeed.utils import groups

    _freeze()
    if device.type == "cpu":
        # Otherwise init_distributed compiles a shared-memory op for a minute or more.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "nccl" if device.type == "cuda" else "gloo"
    os.environ.setdefault("LOCAL_RANK", "0")  # set by Ray Train and torchrun; DeepSpeed requires it
    if not dist.is_initialized():
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)
    # DeepSpeed's collectives use a copy of the world's group, to which PyTorch gives its own timeout, not the world's.
    for group in (dist.group.WORLD, groups._get_data_parallel_group()):
        distributed_c10d._set_pg_timeout(TIMEOUT, group)
    try:
        yield
    finally:
        deepspeed.comm.destroy_process_group()
        gc.collect()  # frees threads and file descriptors held by reference cycles of the group


@contextlib.contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Lets PyTorch use only deterministic kernels, if wanted, with which runs resume to the bit on a GPU.

    On a CPU every run does. On a GPU the backward passes of attention and of the embedding add up in an order that differs
    from call to call, so that a resumed run differs in the last digits; deterministic kernels are slower.

    Raises:
        RuntimeError: inside, from an operation that has no deterministic kernel on this device.
    """
    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used; PyTorch asks for it
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
