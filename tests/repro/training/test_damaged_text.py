"""A run on damaged text fails, says why, and trains again to the same numbers when its text is whole."""

from __future__ import annotations

import itertools
import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.corpus import Corpus
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import train, worker
from repro.training.trainer import Trainer
from tests.repro.training.lives import assigned

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]
SIX: dict[str, Any] = {"dense_steps": 6, "interval": 2}  # steps


@pytest.fixture
def copy(text: Corpus, tmp_path: Path) -> Path:
    """A corpus of one's own."""
    return Path(shutil.copytree(text.folder, tmp_path / text.folder.name))


_known: dict[str, float] = {}


@pytest.fixture
def sound(text: Corpus, make_spec: Make, tmp_path: Path) -> float:
    """The loss of the run of six steps on whole text."""
    if not _known:
        row = train.train(make_spec(**SIX), Folder.open(tmp_path / "sound"), text, Resources())
        _known["loss"] = row["loss"]
    return _known["loss"]


def older(folder: Path) -> None:
    """Makes of its manifest one without hashes of groups."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for split in ("train", "heldout"):
        for shard in manifest[split]["shards"]:
            del shard["group_rows"], shard["groups"]
    path.write_text(json.dumps(manifest))


def other(path: Path) -> bytes:
    """What may come instead of a shard: of the same size and form, every token another one."""
    data = path.read_bytes()
    return (
        data[:2000]
        + bytes(byte ^ 1 if at % 2 == 0 else byte for at, byte in enumerate(data[2000:-2000]))
        + data[-2000:]
    )


def overwritten(path: Path) -> None:
    before, data = path.stat(), other(path)
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def overwritten_in_memory(path: Path) -> None:
    data = other(path)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:] = data


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replaced(path: Path) -> None:
    data = other(path)
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").replace(path)


def removed(path: Path) -> None:
    path.unlink()


@contextmanager
def damaging(at: int, harm: Callable[[], object]) -> Iterator[None]:
    """Does `harm` before step `at`."""
    step = Trainer.step

    def harmed(trainer: Trainer, number: int) -> None:
        if number == at:
            harm()
        step(trainer, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", harmed)
        yield


QUICK = {(overwritten, "train", ""), (overwritten_in_memory, "heldout", ""), (cut, "train", "older")}
WAYS = [
    pytest.param(harm, split, age, id=f"{harm.__name__}-{split}-{age}", marks=[] if way in QUICK else pytest.mark.full)
    for way in itertools.product(
        (overwritten, overwritten_in_memory, cut, replaced, removed), ("train", "heldout"), ("", "older")
    )
    for harm, split, age in [way]
]


@pytest.mark.parametrize(("harm", "split", "age"), WAYS)
def test_text_damaged_in_mid_run_fails_it_and_restored_it_trains_to_the_same_loss(
    text: Corpus,
    copy: Path,
    make_spec: Make,
    tmp_path: Path,
    sound: float,
    harm: Callable[[Path], None],
    split: str,
    age: str,
) -> None:
    if age:
        older(copy)
    shard = copy / f"{split}-00000.arrow"
    spec, folder = make_spec(**SIX), Folder.open(tmp_path / "run")
    with damaging(4, lambda: harm(shard)), pytest.raises(UserError, match=shard.name):
        train.train(spec, folder, Corpus(copy), Resources(checkpoint_every=2))
    status = RunFolder(folder).status()
    assert status["state"] == "failed"
    assert shard.name in status["reason"]
    with pytest.raises(UserError, match=shard.name):  # neither does another one read it
        getattr(Corpus(copy), split).take(np.arange(len(getattr(text, split))))
    shutil.copy(text.folder / shard.name, shard)
    assert train.train(spec, folder, Corpus(copy), Resources(checkpoint_every=2))["loss"] == sound
    assert RunFolder(folder).is_done(spec, text.hash)


def test_what_was_damaged_and_is_whole_again_before_a_step_reads_it_harms_nobody(
    text: Corpus, copy: Path, make_spec: Make, tmp_path: Path, sound: float
) -> None:
    shard = copy / "train-00000.arrow"
    whole = shard.read_bytes()

    def briefly() -> None:
        overwritten(shard)
        with shard.open("r+b") as file:
            file.write(whole)

    with damaging(3, briefly):
        spec = make_spec(**SIX)
        found = train.train(spec, Folder.open(tmp_path / "run"), Corpus(copy), Resources())
    assert found["loss"] == sound


def test_a_shard_that_is_touched_and_stays_the_same_fails_no_run(copy: Path, make_spec: Make, tmp_path: Path) -> None:
    with damaging(3, (copy / "train-00000.arrow").touch):
        train.train(make_spec(**SIX), Folder.open(tmp_path / "run"), Corpus(copy), Resources())


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


def no_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def edited(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"packing": "concatenate"', '"packing": "documents"'))


@pytest.mark.parametrize("harm", [gone, no_manifest, edited, lambda folder: cut(folder / "heldout-00000.arrow")])
def test_a_worker_that_cannot_open_the_text_of_its_sweep_leaves_a_failed_run_with_the_reason(
    text: Corpus, copy: Path, make_spec: Make, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    harm(copy)
    given = replace(assigned(make_spec(), Folder.open(tmp_path / "runs"), text, Resources()), corpus=str(copy))
    with pytest.raises(UserError) as refused:
        worker.train_loop(given.to_dict())
    assert RunFolder(Folder.open(tmp_path / "runs")).status()["state"] == "failed"
    assert RunFolder(Folder.open(tmp_path / "runs")).status()["reason"] == str(refused.value)
