"""Known GPUs, from vendors' data sheets: peak FLOP rates (dense matrix products, for MFU), memory, its bandwidth, and links;
and this machine's C++ compiler."""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple


class Gpu(NamedTuple):
    """A GPU.

    Attributes:
        bf16, fp32: peak FLOP/s, the latter without tensor cores; 0 where it has none.
        memory: bytes; of the larger size where a card comes in two: the name of a 40 GB A100 says so.
        bandwidth: bytes/s between the GPU and its memory; of the larger size, too.
        link: bytes/s that it sends to others in its node: half of NVLink's or PCIe's bidirectional bandwidth.
    """

    bf16: float
    fp32: float
    memory: float
    bandwidth: float
    link: float


GPUS = {  # by a part of the device's name
    "H200": Gpu(989e12, 67e12, 141e9, 4.8e12, 450e9),
    "H100 PCIe": Gpu(756e12, 51e12, 80e9, 2.0e12, 64e9),
    "H100": Gpu(989e12, 67e12, 80e9, 3.35e12, 450e9),
    "A100": Gpu(312e12, 19.5e12, 80e9, 2.039e12, 300e9),
    "L40S": Gpu(362e12, 91.6e12, 48e9, 864e9, 32e9),
    "L4": Gpu(121e12, 30.3e12, 24e9, 300e9, 32e9),
    "A10": Gpu(125e12, 31.2e12, 24e9, 600e9, 32e9),
    "V100": Gpu(0.0, 15.7e12, 32e9, 900e9, 150e9),
    "4090": Gpu(165e12, 82.6e12, 24e9, 1.008e12, 32e9),
}


def peak_flops(device: str, precision: str) -> float | None:
    """Peak FLOP/s of a device, or None if unknown."""
    gpu = next((gpu for name, gpu in GPUS.items() if name in device), None)
    return (gpu.bf16 if precision == "bf16" else gpu.fp32) or None if gpu else None


def mfu(executed_flops: float, seconds: float, devices: int, device: str, precision: str) -> float | None:
    """Model FLOPs utilisation: executed matmul FLOPs over the devices' peak; None if the peak is unknown."""
    peak = peak_flops(device, precision)
    return executed_flops / (seconds * devices * peak) if peak and seconds else None


def compiler() -> str | None:
    """The C++ compiler of this machine, which torch.compile needs; None if there is none."""
    return os.environ.get("CXX") or next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
