"""Checkpoints count only when they are whole: damage is found, said, and the one before is taken."""

from __future__ import annotations

import logging
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training import train
from repro.training.checkpoint_manifest import examine, name_of
from repro.training.trainer import Trainer
from tests.repro.training.lives import assert_same, life, rows, stopped

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]
Spoil = Callable[[Path], None]
REPRO = Path(train.__file__).parents[1]
OLDER, NEWER = 48, 54  # the two checkpoints that `broken_off` holds, of 60 steps


@dataclass(frozen=True)
class Run:
    """A run that was stopped with two checkpoints, or one that is done."""

    spec: RunSpec
    path: Path

    @property
    def folder(self) -> Folder:
        return Folder.open(self.path)

    def checkpoint(self, step: int) -> Path:
        return self.path / "checkpoint" / name_of(step)

    def kept(self) -> list[str]:
        return (self.folder / "checkpoint").names()


@pytest.fixture(scope="module")
def trained(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], tuple[Path, Path]]:
    """Folders of a run that was stopped before step 56, and of the same run to its end; trained once."""
    made: list[tuple[Path, Path]] = []

    def of(spec: RunSpec) -> tuple[Path, Path]:
        if not made:
            part, whole = tmp_path_factory.mktemp("part"), tmp_path_factory.mktemp("whole")
            stopped(spec, Folder.open(part), text, Resources(checkpoint_every=6), 56)
            train.train(spec, Folder.open(whole), text, Resources())
            made.append((part, whole))
        return made[0]

    return of


@pytest.fixture
def broken_off(trained: Callable[[RunSpec], tuple[Path, Path]], make_spec: Make, tmp_path: Path) -> Run:
    """A copy of the run that was stopped."""
    spec = make_spec(dense_steps=24)
    run = Run(spec, Path(shutil.copytree(trained(spec)[0], tmp_path / "run")))
    assert run.kept() == [name_of(OLDER), name_of(NEWER)]
    return run


@pytest.fixture
def finished(trained: Callable[[RunSpec], tuple[Path, Path]], make_spec: Make, tmp_path: Path) -> Run:
    """A copy of the run that is done."""
    spec = make_spec(dense_steps=24)
    return Run(spec, Path(shutil.copytree(trained(spec)[1], tmp_path / "done")))


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def altered(file: Path) -> None:
    """One bit of its last byte: of a weight, a mask or a figure, where the format sees nothing."""
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


def missing(file: Path) -> None:
    file.unlink()


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def holding(data: bytes) -> Spoil:
    def spoil(file: Path) -> None:
        file.write_bytes(data)

    return spoil


def off_by_one(key: str) -> Spoil:
    """Alters one digit of a manifest, which stays JSON and of the same form."""

    def spoil(manifest: Path) -> None:
        text = manifest.read_text()
        assert f'"{key}": {NEWER}' in text
        manifest.write_text(text.replace(f'"{key}": {NEWER}', f'"{key}": {NEWER - 1}'))

    return spoil


OFTEN = {(truncated, "rank-0.safetensors"), (altered, "masks.safetensors"), (missing, "rows.json")}
MANIFESTS: dict[str, Spoil] = {
    "missing": missing,
    "cut short": cut_short,
    "of another step": off_by_one("step"),
    "empty": holding(b""),
    "not text": holding(b"\x80\x81\x82" * 40),
    "not a mapping": holding(b"[1, 2]"),
    "a mapping of nothing": holding(b"{}"),
    "of another update": off_by_one("updates"),
}
DAMAGE = [
    pytest.param(
        spoil,
        file,
        file,
        id=f"{file} is {spoil.__name__}",
        marks=[] if (spoil, file) in OFTEN else pytest.mark.full,
    )
    for spoil in (truncated, altered, missing)
    for file in ("rank-0.safetensors", "masks.safetensors", "rows.json")
] + [
    pytest.param(
        spoil, "manifest.json", "manifest", id=f"manifest.json is {how}", marks=[pytest.mark.full] * (place >= 3)
    )
    for place, (how, spoil) in enumerate(MANIFESTS.items())
]


@pytest.mark.parametrize(("spoil", "file", "named"), DAMAGE)
def test_of_a_damaged_checkpoint_the_one_before_is_taken_and_that_is_said(
    spoil: Spoil,
    file: str,
    named: str,
    broken_off: Run,
    finished: Run,
    text: Corpus,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(broken_off.checkpoint(NEWER) / file)
    with life() as second, caplog.at_level(logging.WARNING, logger="repro"):
        train.train(broken_off.spec, broken_off.folder, text, Resources())
    assert second.steps[0] == OLDER
    [said] = [r.getMessage() for r in caplog.records if r.name == "repro.training.checkpoint"]
    assert str(broken_off.checkpoint(NEWER)) in said
    assert named in said.replace(str(broken_off.path), "")
    assert_same(broken_off.folder, finished.folder, f"after damage to {file}")


def test_a_bit_that_is_altered_anywhere_in_a_manifest_is_found(broken_off: Run) -> None:
    place = Folder.open(broken_off.checkpoint(NEWER))
    manifest, fault = examine(place)
    assert fault is None
    data, chance, missed = place.read("manifest.json"), random.Random(0), []
    for at in chance.sample(range(len(data)), 200):
        flipped = bytearray(data)
        flipped[at] ^= 1 << chance.randrange(8)
        place.write("manifest.json", bytes(flipped))
        found, fault = examine(place)
        if fault is None and found != manifest:  # a space that became another says the same
            missed.append(data[at - 20 : at + 5].decode())
    assert not missed


def test_an_undamaged_checkpoint_is_taken_and_nothing_is_said(
    broken_off: Run, text: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    with life() as second, caplog.at_level(logging.WARNING, logger="repro"):
        train.train(broken_off.spec, broken_off.folder, text, Resources())
    assert second.steps[0] == NEWER
    assert not caplog.records


def test_when_all_are_damaged_the_run_trains_from_the_start(
    broken_off: Run, finished: Run, text: Corpus, caplog: pytest.LogCaptureFixture
) -> None:
    altered(broken_off.checkpoint(NEWER) / "masks.safetensors")
    missing(broken_off.checkpoint(OLDER) / "rank-0.safetensors")
    with life() as second, caplog.at_level(logging.WARNING, logger="repro"):
        train.train(broken_off.spec, broken_off.folder, text, Resources())
    assert second.steps[0] == 0
    said = " ".join(r.getMessage() for r in caplog.records)
    assert "masks.safetensors" in said
    assert "rank-0.safetensors" in said
    assert_same(broken_off.folder, finished.folder, "after damage to all checkpoints")


def test_a_checkpoint_of_another_spec_is_not_taken(broken_off: Run, make_spec: Make, text: Corpus) -> None:
    other = make_spec(dense_steps=24, lr=2e-3)
    with life() as second:
        train.train(other, broken_off.folder, text, Resources())
    assert second.steps[0] == 0
    assert {r["fingerprint"] for r in rows(broken_off.folder, "run.parquet")} == {other.fingerprint}


@pytest.mark.parametrize("keep", [2, *(pytest.param(keep, marks=pytest.mark.full) for keep in (1, 3))])
def test_the_last_few_stay_while_a_run_trains_and_one_when_it_is_done(
    keep: int, make_spec: Make, text: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, folder, seen = make_spec(dense_steps=24), Folder.open(tmp_path / "run"), {}
    update, total = Trainer.step, spec.schedule.total_steps

    def step(trainer: Trainer, at: int) -> None:
        seen[at] = (folder / "checkpoint").names()
        update(trainer, at)

    monkeypatch.setattr(Trainer, "step", step)
    train.train(spec, folder, text, Resources(checkpoint_every=8, keep_checkpoints=keep))
    saved = {at: [name_of(s) for s in range(8, at + 1, 8)] for at in range(total)}
    assert seen == {at: names[-keep:] for at, names in saved.items()}
    assert (folder / "checkpoint").names() == [name_of(total)]


def test_what_a_stopped_removal_or_saving_has_left_is_swept_away_by_the_next_saving(
    broken_off: Run, finished: Run, text: Corpus
) -> None:
    shutil.copytree(broken_off.checkpoint(OLDER), broken_off.checkpoint(6))
    missing(broken_off.checkpoint(6) / "manifest.json")
    missing(broken_off.checkpoint(6) / "masks.safetensors")
    later = broken_off.checkpoint(NEWER + 1)
    later.mkdir()
    (later / "rank-0.safetensors.0a1b2c3d.tmp").write_bytes(b"half")
    stopped(broken_off.spec, broken_off.folder, text, Resources(checkpoint_every=3, keep_checkpoints=2), NEWER + 4)
    assert broken_off.kept() == [name_of(NEWER), name_of(NEWER + 3)]
    train.train(broken_off.spec, broken_off.folder, text, Resources())
    assert_same(broken_off.folder, finished.folder, "after sweeping")


def test_a_saving_over_a_half_written_checkpoint_of_its_step_makes_it_whole(
    broken_off: Run, finished: Run, text: Corpus
) -> None:
    missing(broken_off.checkpoint(NEWER) / "manifest.json")
    (broken_off.checkpoint(NEWER) / "rank-7.safetensors").write_bytes(b"of a group of eight")
    stopped(broken_off.spec, broken_off.folder, text, Resources(checkpoint_every=6), NEWER + 1)
    assert not (broken_off.checkpoint(NEWER) / "rank-7.safetensors").exists()
    with life() as third:
        train.train(broken_off.spec, broken_off.folder, text, Resources())
    assert third.steps[0] == NEWER
    assert_same(broken_off.folder, finished.folder, "after a saving over another")


def test_a_run_that_is_done_trains_and_saves_nothing_when_it_is_started_again(finished: Run, text: Corpus) -> None:
    def stamps() -> dict[str, tuple[int, int]]:
        files = sorted((finished.path / "checkpoint").rglob("*"))
        return {str(f): (os.stat(f).st_ino, os.stat(f).st_mtime_ns) for f in files}

    before, [row] = stamps(), rows(finished.folder, "run.parquet")
    (finished.path / "run.parquet").unlink()
    with life() as second:
        train.train(finished.spec, finished.folder, text, Resources())
    assert second.steps == []
    assert len(before) > 3
    assert stamps() == before
    assert rows(finished.folder, "run.parquet") == [row]


def test_masks_rest_at_one_bit_a_weight(finished: Run) -> None:
    [last] = finished.kept()
    packed = sum(t.numel() for t in load_file(finished.path / "checkpoint" / last / "masks.safetensors").values())
    assert packed * 8 <= 1.01 * finished.spec.model.shape.prunable


def test_nothing_is_pickled(broken_off: Run, finished: Run) -> None:
    for run in (broken_off, finished):
        files = [f for f in (run.path / "checkpoint").rglob("*") if f.is_file()]
        assert {f.suffix for f in files} == {".safetensors", ".json"}
    sources = list(REPRO.rglob("*.py"))
    assert len(sources) > 20
    picklers = re.compile(r"torch\.(load|save)\b|^\s*(import|from) (pickle|dill|cloudpickle|joblib|shelve)\b", re.M)
    assert not [str(source) for source in sources if picklers.search(source.read_text())]
