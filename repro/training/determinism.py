"""Deterministic kernels, for runs that are to resume to the bit on a GPU.

On a CPU every run resumes to the bit. On a GPU the backward passes of attention and of the embedding add up in an order
that differs from call to call, so that a resumed run differs from an uninterrupted one in the last digits, unless PyTorch is
told to take deterministic kernels, which are slower.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Lets PyTorch use only deterministic kernels, if wanted.

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
