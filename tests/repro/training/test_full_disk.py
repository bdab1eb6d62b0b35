"""A full disk loses nothing that was written, and with room the run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.corpus import Corpus
from repro.resources import Resources
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, RunFolder
from repro.training import train
from tests.repro.training.failing import (
    BALLAST,
    FULL_AT,
    Make,
    assert_good,
    before_step,
    failed,
    fill,
    leftovers,
    of_a_shard,
    tmpfs,
)
from tests.repro.training.lives import assert_same, life

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "disk", 8) as place:
        yield place


@pytest.mark.parametrize(
    "share",
    [
        pytest.param(0.5, id="the weights don't fit"),
        pytest.param(1.05, id="all but the masks fits", marks=pytest.mark.full),
    ],
)
def test_a_full_disk_fails_the_run_and_with_room_it_goes_on_to_the_same_bits(
    share: float, disk: Path, text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, whole, folder = make_spec(dense_steps=16), Folder.open(tmp_path / "whole"), Folder.open(disk / "run")
    train.train(spec, whole, text, Resources())
    left = of_a_shard(share)
    with before_step(FULL_AT, lambda trainer: fill(disk, left(trainer))), life() as first:
        reason = failed(spec, folder, text, Resources(checkpoint_every=5))
    assert "the disk is full" in reason
    assert first.steps[-1] == 14
    assert_good(folder, [5, 10])
    assert not leftovers(disk)

    (disk / BALLAST).unlink()
    with life() as second:
        train.train(spec, folder, text, Resources(checkpoint_every=5))
    assert second.steps[0] == 10
    assert RunFolder(folder).status()["state"] == "done"
    assert_same(folder, whole, "after a full disk")


def test_a_disk_with_no_room_even_for_the_status_is_said_and_loses_nothing(
    disk: Path, text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, whole, folder = make_spec(dense_steps=16), Folder.open(tmp_path / "whole"), Folder.open(disk / "run")
    train.train(spec, whole, text, Resources())
    with before_step(FULL_AT, lambda _: fill(disk, 0)), pytest.raises(RunFailed, match="the disk is full"):
        train.train(spec, folder, text, Resources(checkpoint_every=5))
    assert_good(folder, [5, 10])
    assert RunFolder(folder).status()["state"] == "running"  # the last word there was room for
    assert not leftovers(disk)

    (disk / BALLAST).unlink()
    with life() as second:
        train.train(spec, folder, text, Resources(checkpoint_every=5))
    assert second.steps[0] == 10
    assert_same(folder, whole, "after a disk with no room at all")


def test_a_disk_that_fills_up_at_the_end_costs_no_training(
    disk: Path, text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    """The last checkpoint fits and the tables don't."""
    spec, whole, folder = make_spec(dense_steps=16), Folder.open(tmp_path / "whole"), Folder.open(disk / "run")
    train.train(spec, whole, text, Resources())
    [last] = (whole / "checkpoint").names()
    needed = sum(f.stat().st_size for f in Path((whole / "checkpoint" / last).path).iterdir())
    pages = -(-needed // 4096) + 6  # each file and folder fills its last page
    total = spec.schedule.total_steps
    with before_step(total - 1, lambda _: fill(disk, pages * 4096)):
        reason = failed(spec, folder, text, Resources())
    assert "the disk is full" in reason
    assert_good(folder, [total])
    assert not leftovers(disk)

    (disk / BALLAST).unlink()
    with life() as second:
        train.train(spec, folder, text, Resources())
    assert second.steps == []
    assert_same(folder, whole, "after a disk that filled up at the end")
