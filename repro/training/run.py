"""RunInProgress: the inputs of one attempt at training a run, and derived values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training.distributed import device_of


@dataclass(frozen=True)
class RunInProgress:
    """One run as seen by one worker. Raises UserError if its batch doesn't divide over the workers.

    Attributes:
        spec: the run's spec.
        place: the run's folder.
        text: its corpus.
        resources: how it is executed; `workers` is the size of the process group.
        forks: steps before which other runs branch off; each needs a checkpoint and all earlier rows.
        children: steps after which other runs start from this one's weights; each needs a checkpoint.
        parent: folder of the run whose weights this one starts from.
        asked: returns whether the run has been asked to stop; it may ask a store, so that no step waits for it.
        signalled: returns whether this process has had a signal to stop.
    """

    spec: RunSpec
    place: RunFolder
    text: Corpus
    resources: Resources
    forks: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    parent: Folder | None = None
    asked: Callable[[], bool] = bool
    signalled: Callable[[], bool] = bool

    def __post_init__(self) -> None:
        _ = self._parts  # raises if the batch doesn't divide

    @cached_property
    def _parts(self) -> tuple[int, int]:
        return self.resources.share(self.spec)

    @property
    def share(self) -> int:
        """Sequences per worker and batch."""
        return self._parts[0]

    @property
    def micro(self) -> int:
        """Sequences per micro-batch."""
        return self._parts[1]

    @property
    def accumulation(self) -> int:
        """Micro-batches per update."""
        return self.share // self.micro

    @cached_property
    def device(self) -> torch.device:
        return device_of(self.resources)

    @cached_property
    def identity(self) -> str:
        """Identity of its checkpoints."""
        return self.spec.identity(self.text.hash)

    def rows(self, step: int, rank: int | None = None) -> np.ndarray:
        """(sequences, sequence + 1) token ids of the batch of `step`: a rank's share, or all if `rank` is None."""
        batch, seed, position = self.spec.optimizer.batch, self.spec.seed, self.spec.position
        if rank is None:
            return self.text.batch(step, batch, seed, position=position)
        return self.text.batch(step, batch, seed, first=rank * self.share, count=self.share, position=position)

    def with_micro_batch(self, micro: int) -> RunInProgress:
        """The same run with micro-batches of `micro` sequences."""
        return replace(self, resources=replace(self.resources, micro_batch=micro))
