"""Devices' throughput by model size: measured, or assumed. No torch, no Ray."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from repro import ladder, strict
from repro.errors import UserError
from repro.spec import ModelSpec, RunSpec
from repro.strict import Above
from repro.training import hardware
from sweeps.devices import Cluster

# Our assumption, until a benchmark (bench/gpu.py) replaces it: prunable weights -> model FLOPs utilisation of one H100 in
# bf16, executed FLOPs over peak, of a compiled model whose attention has no mask. A smaller model has narrower matrices
# and moves more bytes for a FLOP, so it uses less of a GPU. By bench/roof.py, from the bytes and FLOPs of a step: .85 of
# the bound for the sizes of paper.yaml, pairs-1b.yaml and gpu.yaml, less 6 ms a step, rounded to a per cent.
ASSUMED_MFU = {1.05e6: 0.06, 2.87e6: 0.12, 10.5e6: 0.20, 41.55e6: 0.30, 137.82e6: 0.37, 435.42e6: 0.41, 1139.28e6: 0.45}
Source = Literal["measured", "from measured sizes", "assumed MFU"]
Rate = Annotated[float, Above(0, "tokens/s")]
MOST_RUNS = 64  # that share a GPU, as resources.runs_per_gpu allows


@strict.dataclass
class Measured:
    """A measured-throughput file.

    tokens_per_second: throughput of one worker on one device, by device and size label. beside: summed throughput of
    several runs that share a device, by device, size label and their number, which YAML and JSON write as text.
    """

    tokens_per_second: dict[str, dict[str, Rate]]
    beside: dict[str, dict[str, dict[str, Rate]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for device, sizes in self.beside.items():
            for size, rates in sizes.items():
                key = f"beside.{device}.{size}"
                if size not in self.tokens_per_second.get(device, {}):
                    expected = "one in tokens_per_second"
                    raise UserError("no throughput of a single run to compare with", key=key, expected=expected)
                for count in rates:
                    if not count.isascii() or not count.isdigit() or not 2 <= int(count) <= MOST_RUNS:
                        raise UserError("not a number of runs", key=key, found=count, expected=f"2 to {MOST_RUNS}")

    def gains(self, device: str, size: str) -> dict[int, float]:
        """By number of runs that share a device: their summed throughput over that of one alone."""
        alone = self.tokens_per_second[device][size]
        return {int(n): rate / alone for n, rate in self.beside.get(device, {}).get(size, {}).items()}

    @classmethod
    def read(cls, file: str | Path) -> Measured:
        return strict.build(cls, strict.read_yaml(file), file=file)


@dataclass(frozen=True)
class Throughput:
    """Executed FLOP/s of one device by model size.

    points: prunable weights -> FLOP/s; interpolated linearly in log N, constant outside their range.
    measured: size labels with a measurement of their own; empty if the MFU is assumed.
    gains: by number of runs that share a device and size label, their summed throughput over that of one alone.
    """

    points: dict[float, float]
    measured: frozenset[str] = frozenset()
    gains: Mapping[int, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def assumed(cls, cluster: Cluster, precision: str) -> Throughput:
        """ASSUMED_MFU times the device's peak; less where the memory is slower, relative to the peak, than an H100's.

        Raises:
            UserError: the device isn't in repro.training.hardware's table, or doesn't support this precision.
        """
        if cluster.known is None:
            what = "no such device, and no measured throughput for it"
            names = ", ".join(name.lower().replace(" ", "-") for name in hardware.GPUS)
            expected = f"one of: {names}; or --measured FILE"
            raise UserError(what, file="--cluster", key="type", found=cluster.type, expected=expected)
        peak = hardware.peak_flops(cluster.known, precision)
        if peak is None:
            what = f"a {cluster.known} has no {precision}"
            expected = f"a device with {precision}, or precision: fp32 in the sweep file"
            raise UserError(what, file="--cluster", key="type", found=cluster.type, expected=expected)
        of_h100 = hardware.GPUS["H100"].bandwidth / hardware.GPUS["H100"].bf16  # bytes for a FLOP
        slower = min(1.0, hardware.GPUS[cluster.known].bandwidth / peak / of_h100)
        return cls({size: share * slower * peak for size, share in ASSUMED_MFU.items()})

    @classmethod
    def of(cls, measured: Measured, cluster: Cluster, specs: Iterable[RunSpec], file: object) -> Throughput:
        """The throughput measured for the sizes of a sweep.

        Raises:
            UserError: the file has no value for this device, or for no size of this sweep.
        """
        wanted = cluster.type.lower()
        device = next((name for name in measured.tokens_per_second if name.lower() == wanted), None)
        if device is None:
            what = "no measured throughput for this device"
            expected = cluster.type
            raise UserError(
                what, file=file, key="tokens_per_second", found=", ".join(measured.tokens_per_second), expected=expected
            )
        rates = measured.tokens_per_second[device]
        models = {spec.size: spec.model for spec in specs}
        points = {
            float(models[size].shape.prunable): rate * flops_per_token(models[size])
            for size, rate in rates.items()
            if size in models
        }
        if not points:
            what, key = "no measured throughput for any size of this sweep", f"tokens_per_second.{cluster.type}"
            expected = f"some of: {', '.join(models)}"
            raise UserError(what, file=file, key=key, found=", ".join(rates), expected=expected)
        gains: dict[int, dict[str, float]] = {}
        for size in rates.keys() & models.keys():
            for runs, gain in measured.gains(device, size).items():
                gains.setdefault(runs, {})[size] = gain
        return cls(points, frozenset(rates) & frozenset(models), gains)

    def rate(self, spec: RunSpec) -> float:
        """Executed FLOP/s of a single device that trains `spec`."""
        at = math.log(spec.model.shape.prunable)
        known = sorted((math.log(size), rate) for size, rate in self.points.items())
        if at <= known[0][0]:
            return known[0][1]
        for (left, low), (right, high) in pairwise(known):
            if at <= right:
                return low + (high - low) * (at - left) / (right - left)
        return known[-1][1]

    def gain(self, spec: RunSpec, runs: int) -> float:
        """Summed throughput of `runs` runs that share a device, over that of one; the least of all sizes for one not measured."""
        known = {} if runs == 1 else self.gains[runs]
        return known.get(spec.size, min(known.values(), default=1.0))

    def source(self, spec: RunSpec) -> Source:
        """The source of `rate`."""
        if not self.measured:
            return "assumed MFU"
        return "measured" if spec.size in self.measured else "from measured sizes"


def flops_per_token(model: ModelSpec) -> float:
    """Executed FLOPs per token: 6 N_prunable + 6 L d seq (paper, section 1)."""
    return ladder.executed_flops(model.shape, 1, model.sequence)
