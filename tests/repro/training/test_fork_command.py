"""`python -m repro train --fork`: what it says, what it refuses, and that it can be given again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repro.__main__ import main
from repro.corpus import Corpus, build
from repro.resources import Resources
from repro.spec import CorpusSpec, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training.checkpoint_manifest import name_of
from repro.training.fork import fork
from repro.training.train import train
from tests.repro.training.forks import FORKED, Parent, Trained, assert_forked, trunk_and_child
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


def command(spec: RunSpec, root: Path, corpus: Path, parent: Path, *more: str) -> list[str]:
    """`python -m repro train ... --fork` of a spec into root/child."""
    (root / "spec.json").write_text(json.dumps(spec.to_dict()))
    words = ["train", root / "spec.json", "--out", root / "child", "--corpus", corpus, "--fork", parent]
    return [*map(str, words), *more]


def test_the_command_forks_and_says_where_it_goes_on(
    specs: tuple[RunSpec, RunSpec],
    under_way: Parent,
    trained: Trained,
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
    make_spec: Make, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture
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
