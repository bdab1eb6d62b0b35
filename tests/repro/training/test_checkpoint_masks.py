"""When weights were removed, in a checkpoint: it is there where a run asks for it, and nothing in it is believed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from repro.corpus import Corpus
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training import checkpoint_manifest, train
from repro.training.checkpoint_manifest import REMOVALS, name_of
from repro.training.fork import fork
from tests.repro.training.forks import FLAT
from tests.repro.training.lives import assert_same, stopped

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]
STOP = 10
PIECES = ((4, 0.7), (8, 0.4), (12, 0.55), (16, 0.85))  # three events are over before step 13
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def spec(make_spec: Make) -> RunSpec:
    return replace(
        make_spec(0.6, dense_steps=16, shape="pieces", pieces=((0, 1.0), *PIECES), choose="last"), optimizer=FLAT
    )


@pytest.fixture(scope="module")
def kept(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], Path]:
    """The folder of a run that was stopped before step 10, two events having removed weights."""
    made: list[Path] = []

    def of(spec: RunSpec) -> Path:
        if not made:
            made.append(tmp_path_factory.mktemp("run"))
            stopped(spec, Folder.open(made[0]), text, Resources(checkpoint_every=STOP), STOP)
        return made[0]

    return of


@pytest.fixture
def run(kept: Callable[[RunSpec], Path], spec: RunSpec, tmp_path: Path) -> Path:
    shutil.copytree(kept(spec), tmp_path / "run")
    return tmp_path / "run"


def resealed(run: Path, alter: Callable[[Tensors], object]) -> None:
    """Changes what is said of removals, with hash and seal to fit."""
    place = run / "checkpoint" / name_of(STOP)
    tensors = load_file(place / REMOVALS)
    alter(tensors)
    said = json.loads((place / "manifest.json").read_text())
    save_file(tensors, place / REMOVALS)
    said["files"][REMOVALS] = hashlib.sha256((place / REMOVALS).read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps(checkpoint_manifest.sealed(said)))


def first(tensors: Tensors) -> str:
    """A tensor of which some weights, but not all, were removed at the second event."""
    return next(name for name, bits in tensors.items() if name.startswith("1/") and bits.any())


def unremove(tensors: Tensors) -> None:
    tensors[first(tensors)].zero_()


def both(tensors: Tensors) -> None:
    """Says of the weights of the second event that they went at the third, which hasn't been."""
    name = first(tensors)
    tensors["0" + name[1:]] |= tensors[name]


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        pytest.param(unremove, "a record of removals that", id="removed by no event"),
        pytest.param(both, "a record of removals by later events", id="by an event to come"),
        pytest.param(lambda t: t.pop(first(t)), "other tensors than its layout", id="without a tensor"),
        pytest.param(lambda t: t.update({"2/x": torch.zeros(1, dtype=torch.uint8)}), "other tensors", id="one more"),
        pytest.param(lambda t: t.update({first(t): t[first(t)][:-1]}), "other tensors than its layout", id="too short"),
    ],
)
def test_removals_that_can_not_be_are_refused(
    alter: Callable[[Tensors], Any], said: str, run: Path, spec: RunSpec, text: Corpus
) -> None:
    resealed(run, alter)
    with pytest.raises(UserError, match=said):
        train.train(spec, Folder.open(run), text, Resources())


def test_a_checkpoint_without_removals_is_refused_where_some_were_removed(
    run: Path, spec: RunSpec, text: Corpus
) -> None:
    place = run / "checkpoint" / name_of(STOP)
    said = json.loads((place / "manifest.json").read_text())
    del said["files"][REMOVALS]
    (place / "manifest.json").write_text(json.dumps(checkpoint_manifest.sealed(said)))
    with pytest.raises(UserError, match="doesn't say when weights were removed"):
        train.train(spec, Folder.open(run), text, Resources())


def test_a_fork_takes_removals_over_and_one_that_chooses_otherwise_is_refused(
    run: Path, spec: RunSpec, text: Corpus, tmp_path: Path
) -> None:
    another = replace(spec, run_id="another", pruning=replace(spec.pruning, choose="position"))
    with pytest.raises(UserError) as error:
        fork(Folder.open(run), Folder.open(tmp_path / "another"), another, STOP)
    assert error.value.key == "pruning.choose"
    later = (*spec.pruning.pieces[:4], (16, 0.5))
    child = replace(spec, run_id="child", pruning=replace(spec.pruning, pieces=later))
    folders = [Folder.open(tmp_path / name) for name in ("child", "alone")]
    fork(Folder.open(run), folders[0], child, STOP)
    for folder in folders:
        train.train(child, folder, text, Resources())
    assert_same(folders[0], folders[1], "forked between removals", but_for=("forked_from", "forked_step"))
