"""A checkpoint from somebody else: sealed and hashed as it should be, and nothing in it is believed."""

from __future__ import annotations

import hashlib
import json
import os
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
from repro.spec import OptimizerSpec, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import checkpoint, checkpoint_manifest
from repro.training.fork import checkpoint_of, fork
from repro.training.train import train

Make = Callable[..., RunSpec]
Alter = Callable[[dict[str, Any]], object]
STEPS = 6


@pytest.fixture(scope="module")
def trained(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], Path]:
    made: list[Path] = []

    def of(spec: RunSpec) -> Path:
        if not made:
            made.append(tmp_path_factory.mktemp("trunk"))
            train(spec, Folder.open(made[0]), text, Resources(device="cpu"))
        return made[0]

    return of


@pytest.fixture
def trunk(make_spec: Make) -> RunSpec:
    return replace(make_spec(0.0, dense_steps=STEPS, run_id="trunk"), optimizer=FLAT)


FLAT = OptimizerSpec(5e-3, 4, warmup=0.0, final_lr=1.0)


@pytest.fixture
def theirs(trained: Callable[[RunSpec], Path], trunk: RunSpec, tmp_path: Path) -> Path:
    """A run's folder that somebody has sent us; its checkpoint is whole."""
    folder = tmp_path / "deep" / "theirs"
    shutil.copytree(trained(trunk), folder)
    assert checkpoint_manifest.examine(Folder.open(place_of(folder)))[1] is None
    return folder


def place_of(folder: Path) -> Path:
    return folder / "checkpoint" / checkpoint_manifest.name_of(STEPS)


def reseal(folder: Path, alter: Alter = bool) -> None:
    """What whoever writes a manifest can do: hashes and seal fit whatever it says."""
    place = place_of(folder)
    said = json.loads((place / "manifest.json").read_text())
    for file in said["files"]:
        said["files"][file] = hashlib.sha256((place / file).read_bytes()).hexdigest()
    alter(said)
    (place / "manifest.json").write_text(json.dumps(checkpoint_manifest.sealed(said)))


def named(name: str) -> Alter:
    return lambda said: said["files"].update({name: said["files"]["rank-0.safetensors"]})


def with_(**facts: object) -> Alter:
    return lambda said: said.update(facts)


def stretch(*values: object) -> Alter:
    return lambda said: said["layout"]["rank-0.safetensors"].update(
        {next(iter(said["layout"]["rank-0.safetensors"])): list(values)}
    )


HOSTILE: dict[str, Alter] = {
    "a file above": named("../../../escaped"),
    "a file elsewhere": named("/tmp/escaped"),
    "a file below": named("rank-0.safetensors/../../escaped"),
    "a file of another name": named("status.json"),
    "a rank of two zeros": named("rank-00.safetensors"),
    "a rank past the world": named("rank-1.safetensors"),
    "a name that ends a line": named("rank-0.safetensors\n"),
    "files that are a list": with_(files=["rank-0.safetensors"]),
    "no masks": lambda said: said["files"].pop("masks.safetensors"),
    "no hash": lambda said: said["files"].update({"rows.json": None}),
    "another step": with_(step=STEPS - 1, updates=STEPS - 1),
    "a step of text": with_(step=str(STEPS)),
    "a step below nothing": with_(step=-1, updates=-1),
    "a step without end": with_(step=10**30, updates=10**30),
    "updates that aren't steps": with_(updates=10**18),
    "a world of none": with_(world=0),
    "a world of true": with_(world=True),
    "a stage of text": with_(zero_stage="1"),
    "a key too many": with_(run="rm -rf ~"),
    "a layout of numbers": with_(layout={"rank-0.safetensors": 7}),
    "a layout of another file": with_(layout={"../rank-0.safetensors": {}}),
    "a stretch below nothing": stretch(-8, 16),
    "a stretch without end": stretch(0, 10**15),
    "a stretch of text": stretch("0", "8"),
    "a gap": stretch(4, 8),
    "a tensor that is a path": lambda said: said["layout"]["rank-0.safetensors"].update({"../x": [0, 1]}),
    "an identity of a list": with_(identity=["x"]),
}  # fmt: skip


@pytest.mark.parametrize("alter", HOSTILE.values(), ids=HOSTILE)
def test_a_manifest_that_says_what_none_of_ours_says_is_refused_and_nothing_is_written(
    alter: Alter, theirs: Path, make_spec: Make, tmp_path: Path
) -> None:
    reseal(theirs, alter)
    for at in (theirs, theirs.parent, theirs / "checkpoint", place_of(theirs)):  # what `../escaped` would be read from
        at.joinpath("escaped").write_bytes((place_of(theirs) / "rank-0.safetensors").read_bytes())
    before = sorted(tmp_path.rglob("*"))
    child = replace(make_spec(dense_steps=24, run_id="child"), optimizer=FLAT)
    with pytest.raises(UserError, match="no such checkpoint"):
        fork(Folder.open(theirs), Folder.open(tmp_path / "mine"), child)
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/tmp/escaped").exists()


def a_link(file: Path) -> None:
    data = file.read_bytes()
    (file.parents[3] / "secret").write_bytes(data)
    file.unlink()
    file.symlink_to(file.parents[3] / "secret")


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def shorter(file: Path) -> None:
    os.truncate(file, 0)


def a_bomb(file: Path) -> None:
    os.truncate(file, 2**42)


@pytest.mark.parametrize("file", ["rank-0.safetensors", "masks.safetensors", "rows.json", "manifest.json"])
@pytest.mark.parametrize("put", [a_link, a_pipe, a_bomb, shorter])
def test_a_file_that_is_no_plain_one_or_longer_than_it_may_be_is_never_read(
    put: Callable[[Path], None], file: str, theirs: Path
) -> None:
    put(place_of(theirs) / file)
    _, fault = checkpoint_manifest.examine(Folder.open(place_of(theirs)))
    assert fault is not None
    assert file in fault


def rows_with(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def alter(theirs: Path) -> None:
        file = place_of(theirs) / "rows.json"
        said = json.loads(file.read_text())
        change(said)
        file.write_text(json.dumps(said))
        reseal(theirs)

    return alter


ROWS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a key that isn't one": lambda said: said.update({"__class__": "x"}),
    "a loss that isn't a number": lambda said: said["curve"][0].update(loss_train=float("nan")),
    "a loss of text": lambda said: said["curve"][0].update(loss_train="1.5"),
    "a row of another run": lambda said: said["curve"][0].update(run_id="another"),
    "a row without its columns": lambda said: said["curve"][0].pop("lr"),
    "a row of a later step": lambda said: said["curve"][-1].update(step=10**6),
    "rows in disorder": lambda said: said["curve"].reverse(),
    "rows without end": lambda said: said["curve"].extend(said["curve"][-1:] * 100),
    "a number beyond all floats": lambda said: said.update(seconds=10**400),
    "a layer that is a list": lambda said: said.update(layers=[[1, 2]]),
    "a count past every number": lambda said: said.update(tokens=2**70),
    "other tokens": lambda said: said.update(tokens=said["tokens"] + 1),
    "other weights": lambda said: said.update(weight_steps=said["weight_steps"] - 1),
    "seconds before time": lambda said: said.update(seconds=-1.0),
    "seconds without end": lambda said: said.update(seconds=float("inf")),
}


@pytest.mark.parametrize("change", ROWS.values(), ids=ROWS)
def test_rows_that_are_not_those_of_the_run_are_refused(
    change: Callable[[dict[str, Any]], object], theirs: Path, make_spec: Make, tmp_path: Path
) -> None:
    rows_with(change)(theirs)
    child = replace(make_spec(dense_steps=24, run_id="child"), optimizer=FLAT)
    with pytest.raises(UserError, match=r"rows\.json"):
        fork(Folder.open(theirs), Folder.open(tmp_path / "mine"), child)
    assert not (tmp_path / "mine").exists()


def _first(tensors: dict[str, torch.Tensor]) -> str:
    return next(name for name in tensors if name.startswith("master/"))


def weights(theirs: Path) -> dict[str, torch.Tensor]:
    place, said = checkpoint_of(Folder.open(theirs))
    return checkpoint.masters(place, said, checkpoint_manifest.sizes(said))


TENSORS: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "halves": lambda t: t.update({_first(t): t[_first(t)].half()}),
    "a shape": lambda t: t.update({_first(t): t[_first(t)].view(-1, 1)}),
    "fewer": lambda t: t.update({_first(t): t[_first(t)][:-1].clone()}),
    "one too many": lambda t: t.update({"master/other": torch.zeros(3)}),
    "one gone": lambda t: t.pop(_first(t)),
}


@pytest.mark.parametrize("change", TENSORS.values(), ids=TENSORS)
def test_tensors_that_are_not_those_of_the_layout_are_refused(
    change: Callable[[dict[str, torch.Tensor]], object], theirs: Path
) -> None:
    file = place_of(theirs) / "rank-0.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    reseal(theirs)
    with pytest.raises(UserError, match=r"other tensors than its layout says|rank-0\.safetensors has"):
        weights(theirs)


HEADERS = {"none": b"", "a long one": b"\xff" * 64, "one past the end": (2**40).to_bytes(8, "little") + b"{}", "an empty one": b"\x02" + bytes(7) + b"{}"}  # fmt: skip


@pytest.mark.parametrize("data", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("length", [0, 100_000])
def test_a_file_that_is_no_safetensors_is_one_message(data: bytes, length: int, theirs: Path) -> None:
    (place_of(theirs) / "rank-0.safetensors").write_bytes(data.ljust(length, b" "))
    reseal(theirs)
    with pytest.raises(UserError, match=r"rank-0\.safetensors"):
        weights(theirs)


def test_a_checkpoint_of_another_model_is_refused_before_memory_is_taken(theirs: Path) -> None:
    place, said = checkpoint_of(Folder.open(theirs))
    sizes = checkpoint_manifest.sizes(said)
    for wanted in ({**sizes, "more": 10**15}, dict.fromkeys(sizes, 10**15), dict(list(sizes.items())[1:])):
        with pytest.raises(UserError, match="another model"):
            checkpoint.masters(place, said, wanted)


def test_a_spec_of_more_weights_than_the_checkpoint_holds_is_refused_before_memory_is_taken(
    theirs: Path, trunk: RunSpec, text: Corpus
) -> None:
    large = replace(trunk, model=replace(trunk.model, d_model=2**20, mlp=2**20))
    RunFolder(Folder.open(theirs)).declare(large, text.hash)
    reseal(theirs, with_(identity=large.identity(text.hash)))
    with pytest.raises(UserError, match=r"weights, and the spec says"):
        checkpoint_of(Folder.open(theirs))


def test_masks_of_another_schedule_are_refused_when_the_run_goes_on(theirs: Path, trunk: RunSpec, text: Corpus) -> None:
    file = place_of(theirs) / "masks.safetensors"
    masks = load_file(file)
    next(iter(masks.values()))[0] = 0
    save_file(masks, file)
    reseal(theirs)
    with pytest.raises(UserError, match="masks of another schedule"):
        train(trunk, Folder.open(theirs), text, Resources(device="cpu"))
    assert RunFolder(Folder.open(theirs)).status()["state"] == "failed"


def test_a_checkpoint_that_was_copied_from_another_run_is_not_this_run_s(
    theirs: Path, make_spec: Make, text: Corpus
) -> None:
    other = make_spec(0.0, dense_steps=STEPS, run_id="other", lr=1e-3)
    RunFolder(Folder.open(theirs)).declare(other, text.hash)  # the weights stay those of the trunk
    with pytest.raises(UserError, match="of another run than other"):
        checkpoint_of(Folder.open(theirs))


def test_what_lies_beside_the_checkpoints_is_neither_read_nor_removed(theirs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "documents"
    mine.mkdir()
    (mine / "precious").write_text("x")
    for name in ("zz-notes", "step-1", "step-00000099-old"):
        (theirs / "checkpoint" / name).symlink_to(mine)
    (theirs / "checkpoint" / checkpoint_manifest.name_of(1)).symlink_to(mine)
    checkpoint.keep_last(Folder.open(theirs / "checkpoint"), 1, newest=STEPS)
    assert (mine / "precious").read_text() == "x"
    assert {p.name for p in (theirs / "checkpoint").iterdir()} == {
        "zz-notes", "step-1", "step-00000099-old", checkpoint_manifest.name_of(STEPS)
    }  # fmt: skip
