"""Memory of a run's device: its part of a shared one, its peak, and the errors that mean that it is too small."""

from __future__ import annotations

import errno
import re
import resource
from pathlib import Path

import torch

from repro.resources import Resources

# In the messages of libraries that raise a RuntimeError: gloo and PyTorch's CPU allocator; the CUDA runtime, driver and
# Triton, and NCCL where it quotes them; NCCL otherwise; cuBLAS, cuDNN, cuSOLVER and cuSPARSE by the names of their codes.
# cuDNN's plain INTERNAL_ERROR and cuBLAS's NOT_INITIALIZED have other causes as well and aren't taken for it.
REFUSALS = re.compile(
    r"can't allocate memory|out of memory|Failed to CUDA (host )?[mc]?alloc|CU[A-Z]+_STATUS_(\w+_)?ALLOC(ATION)?_FAILED"
)


def claim(device: torch.device, resources: Resources) -> None:
    """Limits a run to its part of a GPU, and counts its peak from here: a process may train one run after another.

    The part bounds PyTorch's allocator, so that a run which is too large fails itself and not those beside it; the
    libraries' own memory, about 0.5 GB a process, comes on top.
    """
    if device.type == "cuda":
        part = min(1.0, float(resources.devices(gpu=True)))
        torch.cuda.set_per_process_memory_fraction(part, device)
    begin_peak(device)


def begin_peak(device: torch.device) -> None:
    """Counts the peak from here; without Linux's /proc a CPU's peak stays the process's."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to the present resident set
    except OSError:
        return


def peak(device: torch.device) -> int:
    """Peak memory of this process in bytes since `begin_peak`: allocated on a GPU, resident set on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means out of memory, on a GPU or a CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and REFUSALS.search(str(error)) is not None


def smaller_micro_batches(share: int, micro: int) -> list[int]:
    """Divisors of a worker's `share` of the batch that are at most half of `micro`, largest first."""
    return [m for m in range(micro // 2, 0, -1) if share % m == 0]
