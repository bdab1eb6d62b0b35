"""Assignment: everything that a driver passes to the processes that train a run; sent through Ray as a mapping."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from repro import strict
from repro.resources import Resources
from repro.spec import RunSpec


@strict.dataclass
class CheckpointRef:
    """A checkpoint of another run. folder: URI of that run's folder. step: the checkpoint's step."""

    folder: str
    step: int


@strict.dataclass
class Assignment:
    """One run to train, as decided by the driver `driver`.

    Attributes:
        spec: the run's spec.
        resources: the run's resources.
        folder: URI of the run's folder.
        corpus: path or URI of its corpus.
        corpus_hash: hash of the corpus that the driver found there.
        fork: the checkpoint to continue from, if it exists when the run begins; None: begin at step 0.
        forks: steps at which other runs branch off; each needs a checkpoint.
        parent: URI of the folder of the run whose weights this one starts from; None if there is none.
        children: steps after which other runs start from this one's weights; each needs a checkpoint.
        results: URI of the sweep's folder, in which the driver asks its runs to stop.
        driver: token of the driver.
        over: name of a dead holder's lease that this run takes over, if any.
        gpu: whether to train on GPUs.
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
        """The inverse of `to_dict`. Raises UserError on an unknown or missing key."""
        return strict.build(cls, mapping, file="the driver's assignment")

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for `parse`."""
        return asdict(self) | {"spec": self.spec.to_dict()}

    def with_micro_batch(self, micro: int) -> Assignment:
        """The same run with micro-batches of `micro` sequences."""
        return replace(self, resources=replace(self.resources, micro_batch=micro))
