"""Peak FLOP rates of known GPUs, for MFU: dense matrix products, from the makers' data sheets."""

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


def peak_flops(device: str, precision: str) -> float | None:
    """FLOP/s that a device could do at best, or None when it isn't known."""
    for name, (bf16, fp32) in PEAKS.items():
        if name in device:
            return (bf16 if precision == "bf16" else fp32) or None
    return None


def mfu(executed_flops: float, seconds: float, devices: int, device: str, precision: str) -> float | None:
    """Model FLOPs utilisation: matmul FLOPs done over those the devices could have done; None without a peak."""
    peak = peak_flops(device, precision)
    return executed_flops / (seconds * devices * peak) if peak and seconds else None
