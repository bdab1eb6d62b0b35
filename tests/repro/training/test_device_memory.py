"""Which errors say that memory doesn't suffice, and whose peak is counted."""

from __future__ import annotations

import mmap
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
import torch
import torch.distributed as dist
from torch.nn import functional as F

from repro.resources import Resources
from repro.spec import RunSpec
from repro.training import device_memory
from repro.training.device_memory import is_out_of_memory, smaller_micro_batches
from tests import workers

Make = Callable[..., RunSpec]
MIB = 1 << 20


def of_many_slices(size: int) -> torch.Tensor:
    """Fails in the backward pass alone, which makes a gradient of this size for every slice."""
    weights = torch.empty(size // 16, requires_grad=True)
    (weights[:1] + weights[1:2] + weights[2:3]).sum().backward()
    return weights


REFUSED: dict[str, Callable[[int], object]] = {
    "torch": lambda size: torch.empty(size, dtype=torch.uint8),
    "torch, in a layer": lambda size: F.linear(torch.zeros(size // 4000, 8), torch.zeros(1000, 8)),
    "torch, in a backward pass": of_many_slices,
    "numpy": lambda size: np.empty(size, np.uint8),
    "arrow": lambda size: pa.allocate_buffer(64 * size),  # its pool has some in reserve
    "python": lambda size: bytearray(size),
    "the system": lambda size: mmap.mmap(-1, size),
}


def judged_under_a_limit() -> dict[str, tuple[str, bool]]:
    """What is raised where 512 MiB are asked for and 256 MiB are left, and whether it is taken for what it is."""
    for ask in REFUSED.values():
        ask(4 * MIB)  # what it loads and which threads it starts is here before the limit is
    limit = psutil.Process().memory_info().vms + 256 * MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = {}
    for name, ask in REFUSED.items():
        try:
            ask(512 * MIB)
            found[name] = ("nothing", False)
        except (RuntimeError, MemoryError, OSError) as error:
            found[name] = (type(error).__name__, is_out_of_memory(error))
    return found


@pytest.mark.slow
def test_memory_that_is_refused_is_known_for_what_it_is_whoever_asked_for_it() -> None:
    [found] = workers.run(1, judged_under_a_limit)
    assert set(found) == set(REFUSED)
    assert {name: kind for name, (kind, known) in found.items() if not known} == {}


def of_another_kind(work: Callable[[], object]) -> BaseException:
    with pytest.raises((RuntimeError, OSError, ValueError)) as error:
        work()
    return error.value


@pytest.mark.parametrize(
    "work",
    [
        lambda: torch.zeros(2, 3) @ torch.zeros(2, 3),
        lambda: torch.zeros(3).view(2, 2),
        lambda: Path("/nowhere/at/all").read_bytes(),
        lambda: mmap.mmap(-1, 0),
    ],
    ids=["shapes of a product", "shape of a view", "no such file", "an empty map"],
)
def test_another_error_is_not_taken_for_memory(work: Callable[[], object]) -> None:
    assert not is_out_of_memory(of_another_kind(work))


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call",
        "CUDA driver error: out of memory",
        "Triton Error [CUDA]: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "NCCL error in: NCCLUtils.cpp:77, unhandled cuda error (run with NCCL_DEBUG=INFO for details), NCCL version 2.27.5\n"
        "ncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nCuda failure 2 'out of memory'",
        "ncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nFailed to CUDA calloc 6291456 bytes",
        "ncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nFailed to CUDA host alloc 4096 bytes",
    ],
)
def test_a_gpu_librarys_message_of_no_memory_is_known(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))
    assert is_out_of_memory(dist.DistBackendError(message))
    assert not is_out_of_memory(ValueError(message))


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "ncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nCuda failure 999 'unknown error'",
        "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely.",
    ],
)
def test_a_gpu_librarys_other_message_is_not(message: str) -> None:
    assert not is_out_of_memory(RuntimeError(message))


def peaks_of_two_runs() -> tuple[int, int]:
    """What is counted for a run that takes 256 MiB, and for one after it in the same process that takes 16."""
    found = []
    for size in (256 * MIB, 16 * MIB):
        device_memory.claim(torch.device("cpu"), Resources())
        with mmap.mmap(-1, size) as taken:  # which goes back to the system at once, unlike what an allocator may keep
            for page in range(0, size, mmap.PAGESIZE):
                taken[page] = 1
        found.append(device_memory.peak(torch.device("cpu")))
    return found[0], found[1]


@pytest.mark.slow
def test_a_runs_peak_leaves_out_the_runs_before_it() -> None:
    [(large, small)] = workers.run(1, peaks_of_two_runs)
    assert 200 * MIB < large - small < 256 * MIB


@pytest.mark.parametrize(
    ("resources", "smaller"),
    [
        (Resources(), [6, 4, 3, 2, 1]),
        (Resources(micro_batch=4), [2, 1]),
        (Resources(micro_batch=1), []),
        (Resources(workers=2), [3, 2, 1]),
        (Resources(workers=12), []),
    ],
)
def test_smaller_micro_batches_divide_a_workers_share_and_are_half_or_less(
    resources: Resources, smaller: list[int], make_spec: Make
) -> None:
    assert smaller_micro_batches(*resources.share(make_spec(batch=12))) == smaller
