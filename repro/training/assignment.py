"""Assignment: all that a driver tells the processes that train one run; a plain mapping on the way, as Ray carries it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from repro import strict
from repro.resources import Resources
from repro.spec import RunSpec


@strict.dataclass
class CheckpointRef:
    """A checkpoint of another run. folder: URI of that run's folder. step: of the checkpoint."""

    folder: str
    step: int


@strict.dataclass
class Assignment:
    """One run to train, as the driver `driver` has decided it.

    Attributes:
        spec: what is trained.
        resources: of this run.
        folder: URI of its folder.
        corpus: path or URI of its text.
        corpus_hash: of the text that the driver found there.
        fork: the checkpoint that it continues from, if that is there when it begins; None begins at step 0.
        forks: steps from which other runs continue in this one's stead; each needs a checkpoint.
        parent: URI of the folder of the run from whose weights this one starts; None where its spec names none.
        children: steps after which other runs start from this one's weights; each needs a checkpoint.
        results: URI of the sweep's folder, in which the driver asks its runs to stop.
        driver: token of the driver.
        over: name of the lease of a dead holder that this run takes over; None where there is none.
        gpu: whether it trains on GPUs.
    """

    spec: RunSpec
    resources: Resources
    folder: str
    corpus: str
    corpus_hash: str
    fork: CheckpointRef | None
    forks: tuple[int, ...]
    parent: str | None
    children: tuple[int, ...]
    results: str
    driver: str
    over: str | None
    gpu: bool

    @classmethod
    def parse(cls, mapping: dict[str, Any]) -> Assignment:
        """From what `to_dict` made. Raises UserError on an unknown or missing key."""
        return strict.build(cls, mapping, file="the driver's assignment")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, of which `parse` makes an equal assignment."""
        return asdict(self) | {"spec": self.spec.to_dict()}

    def with_micro_batch(self, micro: int) -> Assignment:
        """The same run, of which a worker takes `micro` sequences at once."""
        return replace(self, resources=replace(self.resources, micro_batch=micro))
