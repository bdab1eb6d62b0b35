"""A dense run and a sparse one that is forked from it, trained once for all tests of a module."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import OptimizerSpec, RunSpec
from repro.store.folder import Folder
from repro.training.train import train
from tests.repro.training.lives import TABLES, rows, stopped

Make = Callable[..., RunSpec]
FLAT = OptimizerSpec(5e-3, 4, warmup=0.0, final_lr=1.0)  # the same rate at a step, however many steps there are
FORKED = ("forked_from", "forked_step")
EVERY = 4  # steps between the checkpoints of `under_way`


@dataclass(frozen=True)
class Parent:
    """A run from which others start, and what its folder held before they did."""

    spec: RunSpec
    path: Path

    @property
    def folder(self) -> Folder:
        return Folder.open(self.path)

    def hashes(self) -> dict[str, str]:
        files = sorted(f for f in self.path.rglob("*") if f.is_file())
        return {str(f.relative_to(self.path)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


class Trained:
    """The folder of a spec, trained once: to its end, or until a step, with checkpoints that all stay."""

    def __init__(self, text: Corpus, folders: pytest.TempPathFactory):
        self.text, self.folders = text, folders
        self.made: dict[tuple[RunSpec, int | None], Path] = {}

    def __call__(self, spec: RunSpec, stop: int | None = None) -> Path:
        if (spec, stop) not in self.made:
            path = self.made[spec, stop] = self.folders.mktemp(spec.run_id)
            if stop is None:
                train(spec, Folder.open(path), self.text, Resources())
            else:
                resources = Resources(checkpoint_every=EVERY, keep_checkpoints=9)
                stopped(spec, Folder.open(path), self.text, resources, stop)
        return self.made[spec, stop]


def trunk_and_child(make_spec: Callable[..., RunSpec]) -> tuple[RunSpec, RunSpec]:
    """A dense trunk of 24 steps, and a sparse run of 60 whose events are every 4 steps from 8 to 28."""
    trunk = replace(make_spec(0.0, dense_steps=24, run_id="trunk"), optimizer=FLAT)
    child = replace(make_spec(dense_steps=24, run_id="child"), optimizer=FLAT)
    schedule = child.schedule
    assert (schedule.start_step, schedule.end_step, schedule.total_steps) == (8, 28, 60)
    return trunk, child


def assert_forked(folder: Folder, parent: str, step: int) -> None:
    [row] = rows(folder, "run.parquet")
    assert (row["forked_from"], row["forked_step"]) == (parent, step)
    for name in TABLES:
        assert {r["run_id"] for r in rows(folder, name)} == {"child"}
