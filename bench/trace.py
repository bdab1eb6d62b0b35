"""What a profile says of training steps: which attention kernel ran, where the time went, how often the host waited."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

# Part of an operator's name -> what computes attention; the first that matches counts.
ATTENTION = {
    "cudnn_attention": "cuDNN",
    "flash_attention_for_cpu": "flash (CPU)",
    "flash_attention": "flash",
    "efficient_attention": "memory-efficient",
    "attention_math": "math",
    "varlen_attn": "variable length",
}
# What a kernel or an operator does, by its name, the first that matches; all others are elementwise or reductions.
KINDS = {
    "attention": r"flash|fmha|sdpa|attention|attn",
    "matmul": r"gemm|nvjet|cutlass|gemv|aten::(add)?mm$|aten::b(add)?bmm$|aten::bmm$",
    "communication": r"nccl|gloo|c10d",
    "copies": r"^mem(cpy|set)|aten::copy_$",
}
REST = "elementwise"
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
READS = "aten::_local_scalar_dense"


@dataclass(frozen=True)
class Trace:
    """What some steps did.

    attention: names of the kernels that computed attention, from ATTENTION. shares: share of the device's time by kind of
    kernel (of the operators' own time on a CPU). waits: how often the host waited for the device in a step; reads: how
    often it read a number from it.
    """

    attention: tuple[str, ...]
    shares: dict[str, float]
    waits: float
    reads: float


def trace(step: Callable[[], None], steps: int, device: torch.device) -> Trace:
    """Profiles `steps` calls of `step`."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as seen:
        for _ in range(steps):
            step()
    averages: Any = seen.key_averages()
    attention, times, counts = set(), Counter[str](), Counter[str]()
    for one in averages:
        counts[one.key] += one.count
        if one.key.startswith(("aten::", "torch_attn::")):
            attention |= set([name for part, name in ATTENTION.items() if part in one.key][:1])
        if on_gpu and one.device_type == DeviceType.CUDA and not one.is_user_annotation:  # which spans kernels
            times[kind_of(one.key)] += one.self_device_time_total
        elif not on_gpu and one.key.startswith("aten::"):
            times[kind_of(one.key)] += one.self_cpu_time_total
    total = sum(times.values()) or 1
    # The profiler itself waits once for the device, at its end.
    waits = max(0, sum(counts[name] for name in WAITS) - 1) if on_gpu else 0
    shares = {name: times[name] / total for name in (*KINDS, REST) if times[name]}
    return Trace(tuple(sorted(attention)), shares, waits / steps, counts[READS] / steps)


def kind_of(name: str) -> str:
    """The kind of a kernel or an operator: one of KINDS, or REST."""
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name, re.IGNORECASE)), REST)
