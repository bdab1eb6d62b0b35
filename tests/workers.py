"""Several gloo workers on this machine, for tests: one fresh process a rank, forked from a server that has imported

PyTorch, DeepSpeed and transformers once, since importing them takes longer than most tests.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

PATIENCE = timedelta(minutes=3)  # a rank that waits longer for its peers fails, so that no test hangs
_stores = itertools.count()


def run(world: int, work: Callable[..., Any], *args: Any) -> list[Any]:
    """What `work(*args)` returns on each of `world` ranks, inside a gloo group that it may find initialised.

    `work` is importable and returns what torch.load reads with weights_only: numbers, text, lists, dicts, tensors.

    Raises:
        AssertionError: a rank raised; its traceback is the message.
    """
    with tempfile.TemporaryDirectory() as scratch:
        multiprocessing.set_forkserver_preload(["torch", "deepspeed", "repro.training.train", "tests.workers"])
        # malloc reads its settings when a program starts: a test that sets them needs a new one.
        method = "spawn" if any(name.startswith("MALLOC_") for name in os.environ) else "forkserver"
        told = (world, scratch, dict(os.environ), work, args)
        context = mp.start_processes(_rank, told, nprocs=world, join=False, start_method=method)
        while not context.join():
            pass
        errors = sorted(Path(scratch).glob("error-*"), key=lambda path: path.stat().st_mtime_ns)
        assert not errors, errors[0].read_text()  # the first: the others' peers are gone because of it
        return [torch.load(Path(scratch) / f"result-{rank}", weights_only=True) for rank in range(world)]


def join() -> None:
    """Makes a group of all ranks where there is none, since what `work` ran has destroyed the last. Collective."""
    if dist.is_initialized():
        return
    dist.init_process_group(
        "gloo",
        init_method=f"file://{os.environ['WORKERS_SCRATCH']}/store-{next(_stores)}",
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=PATIENCE,
    )


def _rank(
    rank: int, world: int, scratch: str, environment: dict[str, str], work: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    os.environ.clear()
    os.environ |= environment | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "OMP_NUM_THREADS": "1",
    }
    os.environ["WORKERS_SCRATCH"] = scratch
    torch.set_num_threads(1)
    try:
        join()
        torch.save(work(*args), Path(scratch) / f"result-{rank}")
        if dist.is_initialized():
            dist.destroy_process_group()
    except BaseException:
        (Path(scratch) / f"error-{rank}").write_text(traceback.format_exc())
    # Ends without the interpreter's own end, in which a thread of gloo's that still wants the GIL aborts the process;
    # after an error the others may wait for this rank: its end tells them.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
