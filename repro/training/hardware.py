"""Known GPUs, from vendors' data sheets: peak FLOP rates (dense matrix products, for MFU), memory, its bandwidth, and links."""

from __future__ import annotations

# Part of the device's name -> (bf16, fp32 without tensor cores), FLOP/s.
PEAKS = {
    "H200": (989e12, 67e12),
    "H100 PCIe": (756e12, 51e12),
    "H100": (989e12, 67e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
    "L4": (121e12, 30.3e12),
    "A10": (125e12, 31.2e12),
    "V100": (0.0, 15.7e12),
    "4090": (165e12, 82.6e12),
}

# The same names -> memory in bytes; the larger size where a card comes in two: the name of a 40 GB A100 says so.
MEMORY = {
    "H200": 141e9,
    "H100 PCIe": 80e9,
    "H100": 80e9,
    "A100": 80e9,
    "L40S": 48e9,
    "L4": 24e9,
    "A10": 24e9,
    "V100": 32e9,
    "4090": 24e9,
}

# The same names -> bytes/s between the GPU and its memory; of the larger size, as in MEMORY.
BANDWIDTHS = {
    "H200": 4.8e12,
    "H100 PCIe": 2.0e12,
    "H100": 3.35e12,
    "A100": 2.039e12,
    "L40S": 864e9,
    "L4": 300e9,
    "A10": 600e9,
    "V100": 900e9,
    "4090": 1.008e12,
}

# The same names -> bytes/s that a GPU sends to others in its node: half of NVLink's or PCIe's bidirectional bandwidth.
LINKS = {
    "H200": 450e9,
    "H100 PCIe": 64e9,
    "H100": 450e9,
    "A100": 300e9,
    "L40S": 32e9,
    "L4": 32e9,
    "A10": 32e9,
    "V100": 150e9,
    "4090": 32e9,
}


def peak_flops(device: str, precision: str) -> float | None:
    """Peak FLOP/s of a device, or None if unknown."""
    for name, (bf16, fp32) in PEAKS.items():
        if name in device:
            return (bf16 if precision == "bf16" else fp32) or None
    return None


def mfu(executed_flops: float, seconds: float, devices: int, device: str, precision: str) -> float | None:
    """Model FLOPs utilisation: executed matmul FLOPs over the devices' peak; None if the peak is unknown."""
    peak = peak_flops(device, precision)
    return executed_flops / (seconds * devices * peak) if peak and seconds else None
