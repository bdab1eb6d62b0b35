"""Trained runs of a small model, to be exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.corpus import Corpus
from repro.models import export
from repro.resources import Resources
from repro.spec import ModelSpec, RunSpec
from repro.store.folder import Folder
from repro.training.checkpoint import masters
from repro.training.fork import checkpoint_of
from repro.training.train import train

SHAPE = ModelSpec(32, 2, 2, 48, 300, 32)  # 16 dimensions a head: queries are 4 times as large


@dataclass(frozen=True)
class Run:
    """A trained run and its text."""

    folder: Folder
    spec: RunSpec
    text: Corpus

    def export(self, out: Path, dtype: export.Dtype = "fp32", compact: bool = False) -> Path:
        export.export(self.folder, out, self.text, dtype=dtype, compact=compact)
        return out

    def tokens(self) -> torch.Tensor:
        return torch.from_numpy(self.text.heldout.take(np.arange(6))[:, :-1].astype("int64"))

    def weights(self) -> dict[str, torch.Tensor]:
        """The masters, flat."""
        place, manifest = checkpoint_of(self.folder)
        [layout] = manifest["layout"].values()
        return masters(place, manifest, {name: count for name, (_, count) in layout.items()})


class Trained:
    """Runs by their specs, each of which is trained once."""

    def __init__(self, text: Corpus, folders: pytest.TempPathFactory):
        self.text, self.folders = text, folders
        self.made: dict[str, Run] = {}

    def __call__(self, spec: RunSpec) -> Run:
        if spec.fingerprint not in self.made:
            folder = Folder.open(self.folders.mktemp("run"))
            train(spec, folder, self.text, Resources(device="cpu"))
            self.made[spec.fingerprint] = Run(folder, spec, self.text)
        return self.made[spec.fingerprint]

    def sparse(self, make_spec: Callable[..., RunSpec]) -> Run:
        """80% sparse, with the authors' initialisation."""
        return self(replace(make_spec(dense_steps=24, do_not_prune=("q_proj",)), model=SHAPE))
