"""Runs that begin with surgery on the weights of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import EvalSpec, ModelSpec, OptimizerSpec, RunSpec, SurgerySpec
from repro.store.folder import Folder
from repro.training import start
from repro.training.train import train
from tests.repro.training.lives import Stopped, assert_same, life

CPU = Resources(device="cpu")
MODEL = ModelSpec(16, 4, 2, 32, 300, 32)
CONSTANT = OptimizerSpec(2e-3, 4, warmup=2, lr_schedule="wsd", decay=1)


class Killed(BaseException):
    """A kill, which nothing handles."""


def child(of: RunSpec, surgery: SurgerySpec, steps: int = 10) -> RunSpec:
    """A run of 10 steps at a constant rate, evaluated at log-spaced steps."""
    own = replace(
        of,
        run_id="child",
        optimizer=CONSTANT,
        dense_steps=steps,
        evaluation=EvalSpec(blocks=4, block_sequences=2, log_points=3),
    )
    return own.starting_from(of, of.schedule.total_steps, surgery)


def trained(spec: RunSpec, place: Path, text: Corpus, parent: Path, resources: Resources = CPU) -> Folder:
    folder = Folder.open(place)
    train(spec, folder, text, resources, parent=Folder.open(parent))
    return folder


def assert_a_kill_changes_nothing(spec: RunSpec, operating: ModuleType, parent: Path, text: Corpus, root: Path) -> None:
    """Kills a child in its surgery, which calls `counts` in a module, in saving what is left, and while it trains."""
    saving = Resources(device="cpu", checkpoint_every=3)
    whole = trained(spec, root / "whole", text, parent, saving)
    folder = Folder.open(root / "killed")

    def die(*_: object, **__: object) -> None:
        raise Killed

    for place, name in ((operating, "counts"), (start.checkpoint_rows, "dumped")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, name, die)
            with pytest.raises(Killed):
                train(spec, folder, text, saving, parent=Folder.open(parent))
        assert start.is_needed(spec, folder)
    with life(5) as lived, pytest.raises(Stopped):
        train(spec, folder, text, saving, parent=Folder.open(parent))
    assert lived.steps == [0, 1, 2, 3, 4]
    assert not start.is_needed(spec, folder), "the surgery is done once"
    train(spec, folder, text, saving)  # without its parent, which it no longer needs
    assert_same(folder, whole, "killed in surgery and at step 5")
