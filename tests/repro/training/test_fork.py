"""A run that starts from a checkpoint of another is the run that trained it all itself, to the bit; strangers are refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from repro.__main__ import main
from repro.corpus import Corpus, build
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import CorpusSpec, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training.checkpoint_manifest import name_of
from repro.training.fork import fork
from repro.training.train import train
from tests.repro.training.lives import TABLES, assert_same, life, rows, stopped

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


@pytest.fixture
def specs(make_spec: Make) -> tuple[RunSpec, RunSpec]:
    """A dense trunk of 24 steps, and a sparse run of 60 whose events are every 4 steps from 8 to 28."""
    trunk = replace(make_spec(0.0, dense_steps=24, run_id="trunk"), optimizer=FLAT)
    child = replace(make_spec(dense_steps=24, run_id="child"), optimizer=FLAT)
    schedule = child.schedule
    assert (schedule.start_step, schedule.end_step, schedule.total_steps) == (8, 28, 60)
    return trunk, child


@pytest.fixture(scope="module")
def trained(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a spec, trained once: to its end, or until a step, with checkpoints that all stay."""
    made: dict[tuple[RunSpec, int | None], Path] = {}

    def of(spec: RunSpec, stop: int | None = None) -> Path:
        if (spec, stop) not in made:
            path = made[spec, stop] = tmp_path_factory.mktemp(spec.run_id)
            if stop is None:
                train(spec, Folder.open(path), text, Resources())
            else:
                resources = Resources(checkpoint_every=EVERY, keep_checkpoints=9)
                stopped(spec, Folder.open(path), text, resources, stop)
        return made[spec, stop]

    return of


@pytest.fixture
def under_way(specs: tuple[RunSpec, RunSpec], trained: Callable[..., Path]) -> Parent:
    """The trunk, stopped before step 22, with checkpoints of steps 4, 8, ... 20."""
    return Parent(specs[0], trained(specs[0], 22))


def assert_forked(folder: Folder, parent: str, step: int) -> None:
    [row] = rows(folder, "run.parquet")
    assert (row["forked_from"], row["forked_step"]) == (parent, step)
    for name in TABLES:
        assert {r["run_id"] for r in rows(folder, name)} == {"child"}


@pytest.mark.parametrize("at", [pytest.param(8, id="at the first event"), pytest.param(4, id="before the first event")])
def test_a_sparse_run_forked_from_a_dense_trunk_is_the_one_trained_from_scratch(
    at: int,
    specs: tuple[RunSpec, RunSpec],
    under_way: Parent,
    trained: Callable[..., Path],
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
    specs: tuple[RunSpec, RunSpec], trained: Callable[..., Path], text: Corpus, tmp_path: Path
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
    make_spec: Make, trained: Callable[..., Path], text: Corpus, tmp_path: Path
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
    specs: tuple[RunSpec, RunSpec], under_way: Parent, trained: Callable[..., Path], text: Corpus, tmp_path: Path
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
    with pytest.raises(UserError, match="can't go on from trunk") as error:
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
    change: dict, key: str, make_spec: Make, trained: Callable[..., Path], tmp_path: Path
) -> None:
    spec = make_spec(dense_steps=24, run_id="sparse")
    with pytest.raises(UserError, match="can't go on from sparse") as error:
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
    file: str, specs: tuple[RunSpec, RunSpec], trained: Callable[..., Path], text: Corpus, tmp_path: Path
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


# ---------------------------------------------------------------------------------------------- the command


def command(spec: RunSpec, root: Path, corpus: Path, parent: Path, *more: str) -> list[str]:
    """`python -m repro train ... --fork` of a spec into root/child."""
    (root / "spec.json").write_text(json.dumps(spec.to_dict()))
    words = ["train", root / "spec.json", "--out", root / "child", "--corpus", corpus, "--fork", parent]
    return [*map(str, words), *more]


def test_the_command_forks_and_says_where_it_goes_on(
    specs: tuple[RunSpec, RunSpec],
    under_way: Parent,
    trained: Callable[..., Path],
    text_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    words = command(specs[1], tmp_path, text_root, under_way.path, "--at", "8")
    assert main(words) == 0
    assert f"continuing from step 8 of {under_way.path}" in capsys.readouterr().out
    child = Folder.open(tmp_path / "child")
    assert_same(child, Folder.open(trained(specs[1])), "forked by the command", but_for=FORKED)
    assert_forked(child, "trunk", 8)
    assert RunFolder(child).is_done(specs[1])
    assert main(words) == 0
    assert "done already" in capsys.readouterr().out


def test_the_command_refuses_with_a_message(
    specs: tuple[RunSpec, RunSpec], under_way: Parent, text_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(command(specs[1], tmp_path, text_root, under_way.path, "--at", "7")) == 2
    assert "no such checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "child").exists()


def test_the_command_given_again_goes_on_with_the_child_and_forks_no_second_time(
    specs: tuple[RunSpec, RunSpec], under_way: Parent, text_root: Path, text: Corpus, tmp_path: Path
) -> None:
    child = Folder.open(tmp_path / "child")
    fork(under_way.folder, child, specs[1], 8)
    stopped(specs[1], child, text, Resources(checkpoint_every=10), 12)
    with life() as found:
        assert main(command(specs[1], tmp_path, text_root, under_way.path, "--at", "8")) == 0
    assert found.steps[0] == 10


def test_a_fork_that_was_stopped_halfway_is_made_again_by_the_same_command(
    specs: tuple[RunSpec, RunSpec],
    under_way: Parent,
    text_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    class Stopped(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    words = command(specs[1], tmp_path, text_root, under_way.path, "--at", "8")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "begin", stop)  # the files are there by then, the manifest is not
        with pytest.raises(Stopped):
            main(words)
    assert (tmp_path / "child" / "checkpoint" / name_of(8)).exists()
    assert main(words) == 0
    assert "continuing from step 8" in capsys.readouterr().out
    assert_forked(Folder.open(tmp_path / "child"), "trunk", 8)


def _write_sums(folder: Path, word: str) -> None:
    for i in range(30):
        lines = (f"{j} {word} {i} is {j * i if word == 'times' else j + i}." for j in range(200))
        (folder / f"{i}.txt").write_text("\n".join(lines))


def test_text_that_has_changed_since_the_parent_was_trained_is_not_mixed_in(
    make_spec: Make, trained: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """A corpus of files is the same spec whatever they hold; its hash tells them apart."""
    corpus = CorpusSpec("files", "notes", heldout_fraction=0.1, paths=(str(tmp_path / "*.txt"),))
    spec = replace(make_spec(0.0, dense_steps=6), corpus=corpus, repeat=True)
    _write_sums(tmp_path, "times")
    text = build(corpus, spec.model.vocab, spec.model.sequence, tmp_path / "data")
    train(spec, Folder.open(tmp_path / "parent"), text, Resources())
    _write_sums(tmp_path, "plus")
    child = replace(spec, run_id="child", dense_steps=12)
    assert main(command(child, tmp_path, tmp_path / "data", tmp_path / "parent")) == 2
    assert "the text has changed" in capsys.readouterr().err


def test_a_fork_of_which_no_step_is_left_to_train_is_refused(
    make_spec: Make, trained: Callable[..., Path], tmp_path: Path
) -> None:
    """The training loss of its last steps would be the parent's, or nobody's."""
    spec = make_spec(0.0, dense_steps=6, run_id="trunk")
    with pytest.raises(UserError):
        fork(Folder.open(trained(spec)), Folder.open(tmp_path / "child"), replace(spec, run_id="child", seed=1))
