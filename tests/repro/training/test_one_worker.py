"""What fails on one of two workers ends both, with one reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch.distributed as dist

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import train
from repro.training.checkpoint_manifest import name_of
from repro.training.trainer import Trainer
from tests import workers
from tests.repro.training.failing import (
    BALLAST,
    BATCH,
    FULL_AT,
    SPARE,
    Make,
    Reasons,
    assert_good,
    before_step,
    fill,
    greedy,
    leftovers,
    limit_memory,
    of_a_shard,
    settle,
    step_in,
    tmpfs,
    virtual,
)
from tests.repro.training.lives import assert_same

pytestmark = pytest.mark.slow


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "disk", 8) as place:
        yield place


TWO = Resources(workers=2, checkpoint_every=5)


def how_it_ends(spec: RunSpec, folder: Path, text: Corpus, resources: Resources = TWO) -> tuple[str, str]:
    """What this rank raises: type and message; nothing when the run ends well."""
    workers.join()
    try:
        train.train(spec, Folder.open(folder), text, resources)
    except Exception as error:
        return type(error).__name__, str(error)
    return "", ""


def on_a_disk_for_one(spec: RunSpec, corpus: Path, disk: Path, whole: Path) -> Reasons:
    """The room is enough for one rank's file of the third checkpoint and not for both."""
    text, left = Corpus(corpus), of_a_shard(1.5)
    undisturbed = how_it_ends(spec, whole, text)

    def act(trainer: Trainer) -> None:
        if trainer.rank == 0:
            fill(disk, left(trainer))

    with before_step(FULL_AT, act):
        full = how_it_ends(spec, disk / "run", text)
    workers.join()
    dist.barrier()
    names = (Folder.open(disk / "run") / "checkpoint").names()
    state = RunFolder(Folder.open(disk / "run")).status()
    dist.barrier()
    if dist.get_rank() == 0:
        (disk / BALLAST).unlink()
    dist.barrier()
    return [
        undisturbed,
        full,
        (state["state"], state["reason"]),
        ("", " ".join(names)),
        how_it_ends(spec, disk / "run", text),
    ]


@pytest.mark.full
def test_a_disk_that_is_full_for_one_worker_ends_all_and_with_room_they_go_on_to_the_same_bits(
    disk: Path, text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    found = workers.run(2, on_a_disk_for_one, make_spec(), text.folder, disk, tmp_path / "whole")
    for undisturbed, full, status, names, again in found:
        assert undisturbed == again == ("", "")
        assert full[0] == "RunFailed"
        assert "the disk is full" in full[1]
        assert status == ("failed", full[1])
        assert names[1].split() == [name_of(5), name_of(10)]
    assert not leftovers(disk)
    assert_same(Folder.open(disk / "run"), Folder.open(tmp_path / "whole"), "after a full disk of two workers")


def with_a_broken_master(spec: RunSpec, corpus: Path, folder: Path) -> tuple[str, str]:
    """The second worker's part of the weights breaks before step 7."""

    def act(trainer: Trainer) -> None:
        if trainer.rank == 1:
            trainer.engine.fragments()[0].master.fill_(float("nan"))

    with before_step(7, act):
        return how_it_ends(spec, folder, Corpus(corpus))


@pytest.mark.full
def test_a_weight_that_breaks_on_one_worker_ends_all_with_one_reason(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    first, second = workers.run(2, with_a_broken_master, make_spec(0.0), text.folder, tmp_path / "run")
    assert first == second
    kind, reason = first
    assert kind == "RunFailed"
    assert "not finite" in reason
    assert step_in(reason) == 8  # the first whose forward pass has seen the weights that step 7 made
    folder = Folder.open(tmp_path / "run")
    assert RunFolder(folder).status()["state"] == "failed"
    assert RunFolder(folder).status()["reason"] == reason
    assert_good(folder, [5])


def with_little_memory_on_one(spec: RunSpec, corpus: Path, root: Path) -> tuple[str, str]:
    text = Corpus(corpus)
    settle(spec, text, root, TWO)
    if int(os.environ["RANK"]) == 1:
        limit_memory(virtual("VmPeak") + SPARE // 4)
    return how_it_ends(spec, root / "run", text)


@pytest.mark.full
def test_memory_that_is_short_on_one_worker_ends_all_and_says_what_to_try(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    found = workers.run(2, with_little_memory_on_one, greedy(make_spec), text.folder, tmp_path)
    (_, other), (kind, reason) = found
    assert kind == "OutOfMemory"
    assert f"try resources.micro_batch = {BATCH // 4}" in reason
    assert other, "the first worker ended as if all were well"
    status = RunFolder(Folder.open(tmp_path / "run")).status()
    assert (status["state"], status["reason"]) == ("failed", reason)
