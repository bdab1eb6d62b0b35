"""A run that starts from a checkpoint of another is the run that trained it all itself, to the bit; strangers are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repro.corpus import Corpus
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import CorpusSpec, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
from repro.store.folder import Folder
from repro.training.checkpoint_manifest import name_of
from repro.training.fork import fork
from repro.training.train import train
from tests.repro.training.forks import FLAT, FORKED, Parent, Trained, assert_forked, trunk_and_child
from tests.repro.training.lives import assert_same, life, stopped

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]


@pytest.fixture
def specs(make_spec: Make) -> tuple[RunSpec, RunSpec]:
    return trunk_and_child(make_spec)


@pytest.fixture(scope="module")
def trained(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(text, tmp_path_factory)


@pytest.fixture
def under_way(specs: tuple[RunSpec, RunSpec], trained: Trained) -> Parent:
    """The trunk, stopped before step 22, with checkpoints of steps 4, 8, ... 20."""
    return Parent(specs[0], trained(specs[0], 22))


@pytest.mark.parametrize(
    "at", [pytest.param(8, id="at the first event"), pytest.param(4, id="before it", marks=pytest.mark.full)]
)
def test_a_sparse_run_forked_from_a_dense_trunk_is_the_one_trained_from_scratch(
    at: int,
    specs: tuple[RunSpec, RunSpec],
    under_way: Parent,
    trained: Trained,
    text: Corpus,
    tmp_path: Path,
) -> None:
    child, before = Folder.open(tmp_path / "child"), under_way.hashes()
    assert fork(under_way.folder, child, specs[1], at) == at
    with life() as found:
        train(specs[1], child, text, Resources())
    assert found.steps == list(range(at, 60))
    assert_same(child, Folder.open(trained(specs[1])), f"forked at step {at}", but_for=FORKED)
    assert_forked(child, "trunk", at)
    assert len(before) > 10
    assert under_way.hashes() == before


def test_without_a_step_the_newest_checkpoint_is_taken_and_a_finished_trunk_has_one(
    specs: tuple[RunSpec, RunSpec], trained: Trained, text: Corpus, tmp_path: Path
) -> None:
    trunk = replace(specs[0], dense_steps=6)
    parent, child = Parent(trunk, trained(trunk)), Folder.open(tmp_path / "child")
    before = parent.hashes()
    assert fork(parent.folder, child, specs[1]) == 6
    train(specs[1], child, text, Resources())
    assert_same(child, Folder.open(trained(specs[1])), "forked from a finished trunk", but_for=FORKED)
    assert_forked(child, "trunk", 6)
    assert parent.hashes() == before


def test_masks_are_inherited_when_the_parent_is_sparse_already(
    make_spec: Make, trained: Trained, text: Corpus, tmp_path: Path
) -> None:
    spec = make_spec(dense_steps=24, run_id="sparse")
    parent, child = Parent(spec, trained(spec, 22)), Folder.open(tmp_path / "child")
    fork(parent.folder, child, replace(spec, run_id="child"), 20)
    train(replace(spec, run_id="child"), child, text, Resources())
    whole = Folder.open(trained(spec))
    assert_same(child, whole, "forked between events", but_for=(*FORKED, "run_id"))
    assert_forked(child, "sparse", 20)


def test_what_comes_after_the_fork_may_differ(
    specs: tuple[RunSpec, RunSpec], under_way: Parent, text: Corpus, tmp_path: Path
) -> None:
    later = OptimizerSpec(5e-3, 4, warmup=0.0, lr_schedule="wsd", decay=20)
    child = replace(specs[1], optimizer=later, seed=1, precision="bf16")
    fork(under_way.folder, Folder.open(tmp_path / "child"), child, 8)
    row = train(child, Folder.open(tmp_path / "child"), text, Resources(zero_stage=2))
    assert row["loss"] == pytest.approx(4.5, abs=1.5)
    assert (row["seed"], row["precision"], row["forked_step"]) == (1, "bf16", 8)


def test_a_child_that_is_stopped_goes_on_from_its_own_checkpoint(
    specs: tuple[RunSpec, RunSpec], under_way: Parent, trained: Trained, text: Corpus, tmp_path: Path
) -> None:
    child = Folder.open(tmp_path / "child")
    fork(under_way.folder, child, specs[1], 8)
    stopped(specs[1], child, text, Resources(checkpoint_every=10), 34)
    with life() as found:
        train(specs[1], child, text, Resources())
    assert found.steps[0] == 30
    assert_same(child, Folder.open(trained(specs[1])), "forked, stopped and gone on", but_for=FORKED)
    assert_forked(child, "trunk", 8)


@pytest.mark.parametrize(
    ("change", "at", "key"),
    [
        pytest.param({"model": ModelSpec(16, 2, 1, 32, 300, 32)}, 8, "model.d_model", id="another width"),
        pytest.param({"model": ModelSpec(8, 2, 1, 32, 300, 32, norm_eps=1e-6)}, 8, "model.norm_eps", id="another norm"),
        pytest.param({"corpus": CorpusSpec("package", "pydoc")}, 8, "corpus.heldout_fraction", id="another text"),
        pytest.param({"optimizer": replace(FLAT, batch=8)}, 8, "optimizer.batch", id="another batch"),
        pytest.param({"optimizer": replace(FLAT, lr=4e-3)}, 8, "optimizer.lr", id="another learning rate"),
        pytest.param({"optimizer": replace(FLAT, final_lr=0.5)}, 8, "optimizer.lr", id="a rate that falls"),
        pytest.param({}, 12, "pruning", id="events that the parent has not had"),
        pytest.param({"pruning": PruningSpec(), "dense_steps": 16}, 20, "dense_steps", id="a run that is over by then"),
    ],
)
def test_a_run_that_could_not_have_come_this_way_is_refused(
    change: dict,
    at: int,
    key: str,
    specs: tuple[RunSpec, RunSpec],
    under_way: Parent,
    tmp_path: Path,
) -> None:
    before = under_way.hashes()
    with pytest.raises(UserError, match="can't continue from trunk") as error:
        fork(under_way.folder, Folder.open(tmp_path / "child"), replace(specs[1], **change), at)
    assert error.value.key == key
    assert not (tmp_path / "child").exists()
    assert under_way.hashes() == before


@pytest.mark.parametrize(
    ("change", "key"),
    [
        pytest.param({"pruning": PruningSpec()}, "pruning", id="a dense one"),
        pytest.param({"pruning": PruningSpec(0.7, interval=4, shape="geometric")}, "pruning", id="other counts"),
        pytest.param({"dense_steps": 40}, "pruning", id="other steps"),
        pytest.param(
            {"pruning": PruningSpec(0.8, interval=4, shape="geometric", score="random")}, "pruning.score", id="a score"
        ),
        pytest.param(
            {"pruning": PruningSpec(0.8, interval=4, shape="geometric", do_not_prune=("q_proj",))},
            "pruning.do_not_prune",
            id="layers left alone",
        ),
    ],
)
def test_a_run_that_would_have_pruned_otherwise_by_then_is_refused(
    change: dict, key: str, make_spec: Make, trained: Trained, tmp_path: Path
) -> None:
    spec = make_spec(dense_steps=24, run_id="sparse")
    with pytest.raises(UserError, match="can't continue from sparse") as error:
        fork(Folder.open(trained(spec, 22)), Folder.open(tmp_path / "child"), replace(spec, **change), 20)
    assert error.value.key == key


def test_a_checkpoint_that_is_not_there_is_refused_and_those_there_are_named(
    specs: tuple[RunSpec, RunSpec], under_way: Parent, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no such checkpoint") as error:
        fork(under_way.folder, Folder.open(tmp_path / "child"), specs[1], 7)
    assert name_of(7) in str(error.value)
    assert name_of(8) in str(error.value)


def test_a_folder_without_a_run_is_refused(specs: tuple[RunSpec, RunSpec], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run has begun here"):
        fork(Folder.open(tmp_path / "nothing"), Folder.open(tmp_path / "child"), specs[1])


@pytest.mark.parametrize("file", ["rank-0.safetensors", "masks.safetensors", "rows.json", "manifest.json"])
def test_a_damaged_checkpoint_is_refused_and_the_fault_is_named(
    file: str, specs: tuple[RunSpec, RunSpec], trained: Trained, text: Corpus, tmp_path: Path
) -> None:
    trunk = replace(specs[0], dense_steps=6)
    parent = Parent(trunk, tmp_path / "parent")
    shutil.copytree(trained(trunk), parent.path)
    target = parent.path / "checkpoint" / name_of(6) / file
    target.write_bytes(target.read_bytes()[:-3])
    with pytest.raises(UserError, match="no such checkpoint") as error:
        fork(parent.folder, Folder.open(tmp_path / "child"), specs[1], 6)
    assert "manifest" in str(error.value) if file == "manifest.json" else file in str(error.value)
    assert not (tmp_path / "child").exists()


def test_a_run_that_has_begun_is_not_forked_over(
    specs: tuple[RunSpec, RunSpec], under_way: Parent, text: Corpus, tmp_path: Path
) -> None:
    child = Folder.open(tmp_path / "child")
    stopped(specs[1], child, text, Resources(checkpoint_every=5), 6)
    with pytest.raises(UserError, match="begun already"):
        fork(under_way.folder, child, specs[1], 8)
    assert (child / "checkpoint").names() == [name_of(5)]


def test_a_fork_of_which_no_step_is_left_to_train_is_refused(make_spec: Make, trained: Trained, tmp_path: Path) -> None:
    """The training loss of its last steps would be the parent's, or nobody's."""
    spec = make_spec(0.0, dense_steps=6, run_id="trunk")
    with pytest.raises(UserError):
        fork(Folder.open(trained(spec)), Folder.open(tmp_path / "child"), replace(spec, run_id="child", seed=1))
