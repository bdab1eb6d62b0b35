"""Judges simulated sweeps in parallel processes, with the same result whatever their number."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

FEW = 16  # worlds up to which other processes cost more than they save

Judged = TypeVar("Judged")


def over_worlds(judge: Callable[[int], Judged], worlds: int, cores: int | None) -> Iterator[Judged]:
    """The result of each world, by its number.

    Args:
        cores: processes; all cores when None, and one for a few worlds.
    """
    if cores is None:
        cores = 1 if worlds <= FEW else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if cores == 1:
        yield from map(judge, range(worlds))
        return
    # A fresh interpreter each: this one may hold threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_end_with_parent) as pool:
        yield from pool.map(judge, range(worlds), chunksize=max(1, min(10, worlds // cores // 2)))


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone: killed, it can't say so."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
