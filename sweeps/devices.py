"""The cluster that a sweep is planned on, and how fast its devices train which size. No torch, no Ray."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from repro import ladder, strict
from repro.bounds import STEPS
from repro.errors import UserError
from repro.spec import ModelSpec, RunSpec
from repro.strict import Above, Between
from repro.training import hardware

# Assumed, ours, until a benchmark (bench/gpu.py) says better: prunable weights -> model FLOPs utilisation of one GPU,
# executed FLOPs over its peak, the same for every type. A smaller model has narrower matrices, so it uses less of a GPU.
# Below 40 M a step is bound by memory and host: 280 bytes a token, layer and unit of width and 20 a vocabulary entry in
# a compiled model, at .7 of an H100's 3.35 TB/s, and 6 ms of host a step of .13 M tokens; of that rate .7.
ASSUMED_MFU = {1.05e6: 0.05, 2.87e6: 0.09, 10.5e6: 0.16, 41.55e6: 0.33, 137.82e6: 0.40, 435.42e6: 0.45}
NETWORK = 25e9  # bytes/s a GPU sends to another node, assumed: 200 Gb/s a GPU
Source = Literal["measured", "from measured sizes", "assumed MFU"]


@strict.dataclass
class Cluster:
    """Devices to plan on: `gpus=64,type=h100,per_node=8`.

    type: a name of repro.training.hardware's tables, in any case, or one of the measured file. per_node: GPUs of one node;
    0 is 8, or all where there are fewer. max_workers: most workers of one run; 0 is a node's. memory: GB a device, where
    it isn't the data sheet's.
    """

    gpus: int
    type: str
    per_node: Annotated[int, Between(0, STEPS, "GPUs")] = 0
    max_workers: Annotated[int, Between(0, STEPS, "workers")] = 0
    memory: Annotated[float | None, Above(0, "GB")] = None

    def __post_init__(self) -> None:
        if self.gpus < 1:
            raise UserError("no GPUs", key="gpus", found=self.gpus, expected="at least 1")
        if self.gpus % self.node:
            raise UserError(
                "the GPUs don't fill whole nodes",
                key="per_node",
                found=f"{self.gpus} GPUs, {self.per_node or self.node} a node",
                expected="a divisor of gpus",
            )
        if self.max_workers > self.gpus:
            raise UserError(
                "workers out of range", key="max_workers", found=self.max_workers, expected=f"1 to {self.gpus}"
            )

    @classmethod
    def parse(cls, text: str) -> Cluster:
        """From `key=value,key=value`, as --cluster takes it."""
        data: dict[str, Any] = {}
        for pair in text.split(","):
            key, equals, value = (part.strip() for part in pair.partition("="))
            if not equals or not key or not value:
                raise UserError("not key=value", file="--cluster", found=pair, expected="gpus=64,type=h100,per_node=8")
            if key in data:
                raise UserError(
                    "a key is given twice", file="--cluster", key=key, found=value, expected="each key once"
                )
            data[key] = value if key == "type" else _number(value)
        for key in ("per_node", "max_workers"):  # 0 is their default, not a count
            if data.get(key) == 0:
                raise UserError("value out of range", file="--cluster", key=key, found=0, expected="at least 1")
        return strict.build(cls, data, file="--cluster")

    @property
    def node(self) -> int:
        """GPUs of one node."""
        return self.per_node or min(8, self.gpus)

    @property
    def known(self) -> str | None:
        """The name of repro.training.hardware's tables that `type` means; None is a device they don't have."""
        wanted = self.type.lower().replace("-", " ").replace("_", " ")
        return next((name for name in hardware.PEAKS if name.lower() == wanted), None)

    @property
    def memory_bytes(self) -> float | None:
        """Of one device; None where nobody says."""
        if self.memory is not None:
            return self.memory * 1e9
        return hardware.MEMORY[self.known] if self.known else None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Worker counts that a run may get: powers of two, within a node or in whole nodes, up to the most allowed."""
        if self.known is None:
            return (1,)  # nothing is known of its links
        most = self.max_workers or self.node
        powers = [2**k for k in range(most.bit_length()) if 2**k <= most]
        return tuple(w for w in powers if w <= self.node or w % self.node == 0)

    def holding(self, workers: int) -> int:
        """`workers` where a node or whole nodes hold so many; else the most of `sizes` that are fewer."""
        if workers <= self.node or (workers % self.node == 0 and workers <= self.gpus):
            return workers
        return max(w for w in self.sizes if w <= workers)

    def bandwidth(self, workers: int) -> float:
        """Bytes/s that each worker of a run sends to the next; the slowest link of the ring decides."""
        link = hardware.LINKS[self.known] if self.known else NETWORK
        return link if workers <= self.node else min(link, NETWORK)


def _number(text: str) -> int | float | str:
    """A number as a number; anything else as it stands, for the strict reader to refuse by its key."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@strict.dataclass
class Measured:
    """A measured-throughput file. tokens_per_second: by device and size label, of one worker on one device."""

    tokens_per_second: dict[str, dict[str, Annotated[float, Above(0, "tokens/s")]]]

    @classmethod
    def read(cls, file: str | Path) -> Measured:
        return strict.build(cls, strict.read_yaml(file), file=file)


@dataclass(frozen=True)
class Throughput:
    """Executed FLOP/s of one device by model size.

    points: prunable weights -> FLOP/s; between two, linear in log N; outside of them, that of the nearest.
    measured: the size labels whose own measurement is among the points; empty where the MFU is assumed.
    """

    points: dict[float, float]
    measured: frozenset[str] = frozenset()

    @classmethod
    def assumed(cls, cluster: Cluster, precision: str) -> Throughput:
        """From ASSUMED_MFU and the peak of the device.

        Raises:
            UserError: the device isn't in repro.training.hardware's tables, or can't do this precision.
        """
        if cluster.known is None:
            raise UserError(
                "no such device, and no measured throughput of it",
                file="--cluster",
                key="type",
                found=cluster.type,
                expected=f"one of: {', '.join(name.lower().replace(' ', '-') for name in hardware.PEAKS)}; or --measured FILE",
            )
        peak = hardware.peak_flops(cluster.known, precision)
        if peak is None:
            raise UserError(
                f"a {cluster.known} has no {precision}",
                file="--cluster",
                key="type",
                found=cluster.type,
                expected=f"a device with {precision}, or precision: fp32 in the sweep file",
            )
        return cls({size: share * peak for size, share in ASSUMED_MFU.items()})

    @classmethod
    def of(cls, measured: Measured, cluster: Cluster, specs: Iterable[RunSpec], file: object) -> Throughput:
        """From a measured-throughput file and the sizes of a sweep.

        Raises:
            UserError: the file has no figure of this device, or none of a size of this sweep.
        """
        found = {device.lower(): sizes for device, sizes in measured.tokens_per_second.items()}
        if cluster.type.lower() not in found:
            raise UserError(
                "no measured throughput of this device",
                file=file,
                key="tokens_per_second",
                found=", ".join(measured.tokens_per_second),
                expected=cluster.type,
            )
        rates = found[cluster.type.lower()]
        models = {spec.size: spec.model for spec in specs}
        points = {
            float(models[size].shape.prunable): rate * flops_per_token(models[size])
            for size, rate in rates.items()
            if size in models
        }
        if not points:
            raise UserError(
                "no measured throughput of a size of this sweep",
                file=file,
                key=f"tokens_per_second.{cluster.type}",
                found=", ".join(rates),
                expected=f"some of: {', '.join(models)}",
            )
        return cls(points, frozenset(rates) & frozenset(models))

    def rate(self, spec: RunSpec) -> float:
        """Executed FLOP/s of one device that trains `spec` alone."""
        at = math.log(spec.model.shape.prunable)
        known = sorted((math.log(size), rate) for size, rate in self.points.items())
        if at <= known[0][0]:
            return known[0][1]
        for (left, low), (right, high) in pairwise(known):
            if at <= right:
                return low + (high - low) * (at - left) / (right - left)
        return known[-1][1]

    def source(self, spec: RunSpec) -> Source:
        """Where `rate` comes from."""
        if not self.measured:
            return "assumed MFU"
        return "measured" if spec.size in self.measured else "from measured sizes"


def flops_per_token(model: ModelSpec) -> float:
    """Executed FLOPs a token: 6 N_prunable + 6 L d seq (paper, section 1)."""
    return ladder.executed_flops(model.shape, 1, model.sequence)
