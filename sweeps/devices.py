"""The cluster that a sweep is planned on. No torch, no Ray."""

from __future__ import annotations

from typing import Annotated, Any

from repro import strict
from repro.bounds import STEPS
from repro.errors import UserError
from repro.strict import Above, Between
from repro.training import hardware
from repro.yaml_values import number

NETWORK = 25e9  # bytes/s from a GPU to another node, assumed: 200 Gb/s per GPU


@strict.dataclass
class Cluster:
    """Devices to plan on: `gpus=64,type=h100,per_node=8`.

    type: a device in repro.training.hardware's tables (case-insensitive) or in the measured file. per_node: GPUs per
    node; 0 means 8, or all if there are fewer. max_workers: maximum number of workers per run; 0 means one node.
    memory: GB per device, if it differs from the data sheet.
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
            found = f"{self.gpus} GPUs, {self.per_node or self.node} per node"
            expected = "a divisor of gpus"
            raise UserError("the GPUs don't fill whole nodes", key="per_node", found=found, expected=expected)
        if self.max_workers > self.gpus:
            what = "workers out of range"
            raise UserError(what, key="max_workers", found=self.max_workers, expected=f"1 to {self.gpus}")

    @classmethod
    def parse(cls, text: str) -> Cluster:
        """Parses `key=value,key=value`, the format of --cluster."""
        data: dict[str, Any] = {}
        for pair in text.split(","):
            key, equals, value = (part.strip() for part in pair.partition("="))
            if not equals or not key or not value:
                raise UserError("not key=value", file="--cluster", found=pair, expected="gpus=64,type=h100,per_node=8")
            if key in data:
                expected = "each key once"
                raise UserError("a key is given twice", file="--cluster", key=key, found=value, expected=expected)
            data[key] = value if key == "type" else number(value)
        for key in ("per_node", "max_workers"):  # 0 stands for their default, so it isn't a valid count
            if data.get(key) == 0:
                raise UserError("value out of range", file="--cluster", key=key, found=0, expected="at least 1")
        return strict.build(cls, data, file="--cluster")

    @property
    def node(self) -> int:
        """GPUs per node."""
        return self.per_node or min(8, self.gpus)

    @property
    def known(self) -> str | None:
        """The device's name in repro.training.hardware's table; None if it doesn't list it."""
        wanted = self.type.lower().replace("-", " ").replace("_", " ")
        return next((name for name in hardware.GPUS if name.lower() == wanted), None)

    @property
    def memory_bytes(self) -> float | None:
        """Memory of one device in bytes; None if unknown."""
        if self.memory is not None:
            return self.memory * 1e9
        return hardware.GPUS[self.known].memory if self.known else None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Allowed worker counts of a run: powers of two up to the maximum, within a node or in whole nodes."""
        if self.known is None:
            return (1,)  # its link bandwidth is unknown
        most = self.max_workers or self.node
        powers = [2**k for k in range(most.bit_length()) if 2**k <= most]
        return tuple(w for w in powers if w <= self.node or w % self.node == 0)

    def holding(self, workers: int) -> int:
        """`workers` if they fit one node or fill whole nodes; otherwise the largest of `sizes` below it."""
        if workers <= self.node or (workers % self.node == 0 and workers <= self.gpus):
            return workers
        return max(w for w in self.sizes if w <= workers)

    def bandwidth(self, workers: int) -> float:
        """Bytes/s from each worker of a run to the next, limited by the slowest link of the ring."""
        link = hardware.GPUS[self.known].link if self.known else NETWORK
        return link if workers <= self.node else min(link, NETWORK)
