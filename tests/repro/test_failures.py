"""What ends a run for good: it is marked with the reason, nothing hangs, and its last good checkpoint stays whole."""

from __future__ import annotations

import gc
import hashlib
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.distributed as dist
from safetensors.torch import load_file

from repro import train, zero
from repro.checkpoint import examine, name_of
from repro.corpus import Corpus, build
from repro.corpus.manifest import Split
from repro.corpus.order import rows_at
from repro.corpus.packing import padding
from repro.corpus.shards import write_shards
from repro.resources import Resources
from repro.run_folder import RunFailed, RunFolder
from repro.spec import RunSpec
from repro.storage import Folder
from repro.trainer import Trainer
from tests import workers
from tests.repro.test_resume import assert_same, life, rows

Make = Callable[..., RunSpec]
Reasons = list[tuple[str, str]]


def only_in_full(value: object) -> Any:
    """A parameter that only `make test-full` takes."""
    return pytest.param(value, marks=pytest.mark.full)


def failed(spec: RunSpec, folder: Folder, text: Corpus, resources: Resources) -> str:
    """The reason with which this run fails, which is what its status says."""
    with pytest.raises(RunFailed) as error:
        train.train(spec, folder, text, resources)
    status = RunFolder(folder).status()
    assert status["state"] == "failed"
    assert status["reason"] == str(error.value)
    assert not folder.exists("run.parquet")
    return status["reason"]


def step_in(reason: str) -> int:
    [step] = re.findall(r"step (\d+)", reason)
    return int(step)


def assert_good(folder: Folder, steps: list[int]) -> None:
    """There are the checkpoints of these steps and no more, all whole and none with a number that isn't finite."""
    assert (folder / "checkpoint").names() == [name_of(step) for step in steps]
    for step in steps:
        place = folder / "checkpoint" / name_of(step)
        assert examine(place)[1] is None
        for file in Path(place.path).glob("rank-*.safetensors"):
            assert all(tensor.isfinite().all() for tensor in load_file(file).values()), f"{file} has a NaN"


@contextmanager
def before_step(step: int, act: Callable[[Trainer], object]) -> Iterator[None]:
    """Lets something happen before a step is trained, once."""
    update, done = Trainer._step, False

    def patched(trainer: Trainer, at: int, total: int) -> None:
        nonlocal done
        if at == step and not done:
            done = True
            act(trainer)
        update(trainer, at, total)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_step", patched)
        yield


# --------------------------------------------------------------------------------------- padding and no text


@pytest.fixture(scope="module")
def packed(text_root: Path, text: Corpus) -> Corpus:
    """The same text in whole documents, with padding."""
    spec = replace(text.manifest.spec, packing="documents")
    return build(spec, text.manifest.vocab, text.manifest.sequence, text_root)


def of_documents(spec: RunSpec, packed: Corpus) -> RunSpec:
    return replace(spec, corpus=packed.manifest.spec, repeat=True)


def emptied(packed: Corpus, folder: Path, split: str, which: np.ndarray) -> Corpus:
    """A copy in which these rows are all padding: a whole corpus, which its hashes bear out."""
    shutil.copytree(packed.folder, folder)
    old: Split = getattr(packed.manifest, split)
    tokens = np.concatenate(getattr(packed, split).views)
    tokens[which] = padding(tokens.dtype)
    shards = write_shards([tokens], folder, split, tokens.shape[1], tokens.dtype, packed.manifest.shard_rows)
    left, digest = int((tokens != padding(tokens.dtype)).sum()), hashlib.sha256(tokens.tobytes()).hexdigest()
    new = replace(old, tokens=left, sha256=digest, shards=shards)
    replace(packed.manifest, **{split: new}).write(Folder.open(folder))
    corpus = Corpus(folder)
    corpus.verify()
    assert corpus.hash != packed.hash
    return corpus


def test_a_batch_of_nothing_but_padding_fails_the_run_at_its_step(
    packed: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, folder = of_documents(make_spec(), packed), Folder.open(tmp_path / "run")
    bad = rows_at(7, spec.optimizer.batch, len(packed.train), spec.seed)
    text = emptied(packed, tmp_path / "text", "train", bad)
    with life() as found:
        reason = failed(spec, folder, text, Resources(checkpoint_every=5))
    assert "the loss is not finite" in reason
    assert "padding" in reason
    assert step_in(reason) == found.steps[-1] == 7
    assert_good(folder, [5])


def test_rows_and_micro_batches_of_nothing_but_padding_are_left_out_of_the_mean(
    packed: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec = of_documents(make_spec(), packed)
    bad = rows_at(7, spec.optimizer.batch, len(packed.train), spec.seed)[:3]
    text = emptied(packed, tmp_path / "text", "train", bad)
    found = [
        train.train(spec, Folder.open(tmp_path / str(micro)), text, Resources(micro_batch=micro)) for micro in (4, 1)
    ]
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], abs=2e-4)
    losses = [
        {r["step"]: r["loss_train"] for r in rows(Folder.open(tmp_path / str(m)), "curve.parquet")} for m in (4, 1)
    ]
    assert losses[0][8] == pytest.approx(losses[1][8], abs=2e-4)
    assert 2 < losses[0][8] < 8


def test_a_held_out_block_of_nothing_but_padding_fails_the_run_at_its_end(
    packed: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, folder = of_documents(make_spec(0.0, dense_steps=8), packed), Folder.open(tmp_path / "run")
    text = emptied(packed, tmp_path / "text", "heldout", np.arange(len(packed.heldout) // 4))
    reason = failed(spec, folder, text, Resources(checkpoint_every=3))
    assert reason == "the held-out loss is not finite after 8 steps"
    assert_good(folder, [3, 6])


# --------------------------------------------------------------------------------------- divergence and spikes


@pytest.fixture(scope="module")
def broken_at(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], int]:
    """The update that breaks the weights of a run, found by stage 0: the step before its first loss that isn't finite."""

    known: dict[RunSpec, int] = {}

    def of(spec: RunSpec) -> int:
        if spec not in known:
            folder = Folder.open(tmp_path_factory.mktemp("broken"))
            with life() as found:
                reason = failed(spec, folder, text, Resources(zero_stage=0, spike=None))
            assert re.fullmatch(rf"the loss is .*, not finite, at step {found.steps[-1]}", reason)
            known[spec] = found.steps[-1] - 1
        return known[spec]

    return of


@pytest.mark.parametrize("stage", [only_in_full(0), 1, only_in_full(2), only_in_full(3)])
@pytest.mark.parametrize("lr", [100.0, 1e30])
def test_a_learning_rate_that_is_too_large_fails_the_run_at_the_step_that_broke_it(
    lr: float, stage: int, text: Corpus, make_spec: Make, tmp_path: Path, broken_at: Callable[[RunSpec], int]
) -> None:
    spec, folder = make_spec(lr=lr), Folder.open(tmp_path / "run")
    broken = broken_at(spec)
    with life() as found:
        reason = failed(spec, folder, text, Resources(zero_stage=stage, spike=None, checkpoint_every=1))
    assert "not finite" in reason
    assert found.steps[-1] == broken
    # Stage 0 lets the update happen: the weights that it made are found before they are saved as those of the next step.
    assert step_in(reason) == broken + (stage == 0)
    assert_good(folder, [broken - 1, broken])


def climbing(make_spec: Make, lr: float = 10.0) -> RunSpec:
    """A run that learns until its warm-up takes it past the learning rate that it bears."""
    spec = make_spec(lr=lr, dense_steps=24)
    return replace(spec, optimizer=replace(spec.optimizer, warmup=0.5))


def test_a_spike_fails_the_run_with_both_numbers_and_without_a_bound_it_goes_on_to_its_end(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, free, bound = climbing(make_spec), Folder.open(tmp_path / "free"), 5.0
    train.train(spec, free, text, Resources(spike=None))
    losses = [row["loss_train"] for row in rows(free, "curve.parquet")]
    assert len(losses) == spec.schedule.total_steps
    means = [np.mean(losses[i - 10 : i]) for i in range(10, len(losses))]  # of the ten steps before each
    lowest = np.minimum.accumulate(means)
    first = int(np.argmax(np.array(losses[10:]) > lowest + bound)) + 10
    assert losses[first] > lowest[first - 10] + bound, "this run has no spike"

    folder = Folder.open(tmp_path / "run")
    with life() as found:
        reason = failed(spec, folder, text, Resources(spike=bound, checkpoint_every=8))
    assert "spike" in reason
    assert f"{losses[first]:.3f}" in reason
    assert f"{lowest[first - 10]:.3f}" in reason
    assert f"at step {first}:" in reason
    assert found.steps[-1] == first
    saved = list(range(8, first + 1, 8))[-2:]
    assert_good(folder, saved)

    with life() as again:
        train.train(spec, folder, text, Resources(spike=None))
    assert again.steps[0] == saved[-1]
    assert RunFolder(folder).status()["state"] == "done"
    assert_same(folder, free, "after a spike that was let pass")


def test_the_default_bound_lets_a_sound_run_pass_and_a_narrow_one_does_not(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    row = train.train(make_spec(), Folder.open(tmp_path / "sound"), text, Resources())
    assert row["loss"] < 6
    assert "spike" in failed(make_spec(), Folder.open(tmp_path / "narrow"), text, Resources(spike=0.01))


# --------------------------------------------------------------------------------------- memory

# A batch of 2,048 sequences needs some 350 MiB beside model and libraries, one of 1,024 some 150 MiB, one of
# 32 nothing to speak of; 160 MiB more than that last one took at its peak are given.
BATCH, SMALL, SPARE = 2048, 32, 160 << 20


def greedy(make_spec: Make) -> RunSpec:
    """A run of two steps whose logits are most of what it needs."""
    return replace(make_spec(0.0, dense_steps=2, batch=BATCH), repeat=True)


def virtual(what: str) -> int:
    """VmSize or VmPeak of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith(f"{what}:")]
    return int(kib) << 10


def limit_memory(limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def settle(spec: RunSpec, text: Corpus, root: Path, resources: Resources) -> None:
    """Small runs of the same kind, after which every library is loaded and VmPeak says what such a run takes."""
    small = replace(spec, optimizer=replace(spec.optimizer, batch=SMALL))
    for i in range(3):
        workers.join()
        train.train(small, Folder.open(root / f"small-{i}"), text, resources)


def outcome(spec: RunSpec, folder: Folder, text: Corpus, resources: Resources) -> dict[str, Any]:
    """How a run ends: its status, the steps that were trained, and its loss and micro-batch if it has them."""
    with life() as found:
        try:
            row = train.train(spec, folder, text, resources)
        except RunFailed as failure:
            row = {"raised": str(failure)}
    kept = {key: row[key] for key in ("loss", "micro_batch", "raised") if key in row}
    return RunFolder(folder).status() | kept | {"steps": found.steps}


def retried(spec: RunSpec, corpus: Path, root: Path, stage: int) -> dict[str, Any]:
    text, resources = Corpus(corpus), Resources(zero_stage=stage)
    settle(spec, text, root, resources)
    limit_memory(virtual("VmPeak") + SPARE)
    return outcome(spec, Folder.open(root / "run"), text, resources)


def advised(spec: RunSpec, corpus: Path, root: Path, stage: int) -> list[dict[str, Any]]:
    """A run that may not try smaller micro-batches, and one that takes the advice with which it ended."""
    text, resources = Corpus(corpus), Resources(zero_stage=stage, out_of_memory="fail")
    settle(spec, text, root, resources)
    limit_memory(virtual("VmPeak") + SPARE)
    first = outcome(spec, Folder.open(root / "run"), text, resources)
    taken = replace(resources, micro_batch=first.get("try_micro_batch"))
    return [first, outcome(spec, Folder.open(root / "run"), text, taken)]


def short_in_the_middle(spec: RunSpec, corpus: Path, root: Path) -> dict[str, Any]:
    """Memory is short from the second step on, where a checkpoint has just been saved."""
    text, resources = Corpus(corpus), Resources(checkpoint_every=1)
    settle(spec, text, root, resources)
    limit = virtual("VmPeak") + SPARE
    with before_step(1, lambda _: limit_memory(limit)):
        return outcome(spec, Folder.open(root / "run"), text, resources)


def hopeless(spec: RunSpec, corpus: Path, root: Path) -> dict[str, Any]:
    """There is not even memory for the model: 34 M weights, of which each needs 20 bytes."""
    text = Corpus(corpus)
    settle(spec, text, root, Resources())
    limit_memory(virtual("VmPeak") + SPARE)
    wide = replace(spec, model=replace(spec.model, d_model=1024, mlp=4096), optimizer=replace(spec.optimizer, batch=4))
    return outcome(wide, Folder.open(root / "run"), text, Resources(out_of_memory="fail"))


@pytest.fixture(scope="module")
def unlimited(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], dict[str, Any]]:
    """The same run where there is memory enough."""
    known: dict[RunSpec, dict[str, Any]] = {}

    def of(spec: RunSpec) -> dict[str, Any]:
        if spec not in known:
            known[spec] = train.train(spec, Folder.open(tmp_path_factory.mktemp("unlimited")), text, Resources())
        return known[spec]

    return of


Unlimited = Callable[[RunSpec], dict[str, Any]]


@pytest.mark.parametrize("stage", [only_in_full(0), 1, only_in_full(3)])
def test_out_of_memory_a_run_goes_on_with_smaller_micro_batches_to_the_same_loss(
    stage: int, text: Corpus, make_spec: Make, tmp_path: Path, unlimited: Unlimited
) -> None:
    spec = greedy(make_spec)
    [found] = workers.run(1, retried, spec, text.folder, tmp_path, stage)
    assert found["state"] == "done", found
    [row] = rows(Folder.open(tmp_path / "run"), "run.parquet")
    assert unlimited(spec)["micro_batch"] == BATCH
    assert row["micro_batch"] == found["micro_batch"]
    # Smaller than what was refused, and no more than one halving too small: what a failed attempt held was given back.
    assert BATCH // 8 <= row["micro_batch"] < BATCH
    assert row["loss"] == pytest.approx(unlimited(spec)["loss"], abs=1e-3)


@pytest.mark.parametrize("stage", [only_in_full(0), only_in_full(1)])
def test_out_of_memory_a_run_that_may_not_retry_fails_and_names_a_micro_batch_that_fits(
    stage: int, text: Corpus, make_spec: Make, tmp_path: Path, unlimited: Unlimited
) -> None:
    spec = greedy(make_spec)
    [[first, second]] = workers.run(1, advised, spec, text.folder, tmp_path, stage)
    assert first["state"] == "failed"
    assert first["reason"] == first["raised"]
    assert first["steps"] == [0]
    advice = first["try_micro_batch"]
    assert advice is not None, first["reason"]
    assert BATCH // 8 <= advice < BATCH
    for part in (f"batch {BATCH}", f"micro-batches of {BATCH} sequences", f"{advice} would fit"):
        assert part in first["reason"]
    assert second["state"] == "done", second
    assert second["micro_batch"] == advice
    assert second["loss"] == pytest.approx(unlimited(spec)["loss"], abs=1e-3)


@pytest.mark.full
def test_out_of_memory_in_the_middle_a_run_goes_on_from_its_checkpoint(
    text: Corpus, make_spec: Make, tmp_path: Path, unlimited: Unlimited
) -> None:
    spec = greedy(make_spec)
    [found] = workers.run(1, short_in_the_middle, spec, text.folder, tmp_path)
    assert found["state"] == "done", found
    assert found["steps"][:2] == [0, 1]
    assert set(found["steps"][2:]) == {1}, "it began anew, or memory was not refused"
    assert found["micro_batch"] < BATCH
    assert found["loss"] == pytest.approx(unlimited(spec)["loss"], abs=1e-3)


@pytest.mark.full
def test_out_of_memory_for_the_model_itself_is_said_to_be_past_mending(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    [found] = workers.run(1, hopeless, greedy(make_spec), text.folder, tmp_path)
    assert found["state"] == "failed"
    assert "out of memory" in found["reason"]
    assert "none fits" in found["reason"]
    assert found["try_micro_batch"] is None
    assert found["steps"] == []


@pytest.mark.parametrize("stage", [only_in_full(0), 1, only_in_full(2), only_in_full(3)])
def test_a_run_gives_back_its_engine_whether_it_ends_well_or_not(
    stage: int, text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    def engines() -> int:
        for _ in range(3):
            gc.collect()
        return sum(type(thing).__name__ == "DeepSpeedEngine" for thing in gc.get_objects())

    before = engines()
    train.train(make_spec(0.0, dense_steps=3), Folder.open(tmp_path / "well"), text, Resources(zero_stage=stage))
    failed(make_spec(lr=1e30), Folder.open(tmp_path / "badly"), text, Resources(zero_stage=stage))
    assert engines() == before


# --------------------------------------------------------------------------------------- a full disk

FULL_AT = 12  # the step before which the disk fills up; the checkpoints are of 5, 10, 15 and so on
BALLAST = "ballast"


@contextmanager
def tmpfs(place: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of its own, of this size."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(place)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # Ray may take a moment longer


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "disk", 8) as place:
        yield place


def fill(disk: Path, left: int) -> None:
    """Writes so much beside the run that `left` bytes are free."""
    free = os.statvfs(disk)
    (disk / BALLAST).write_bytes(bytes(free.f_bavail * free.f_frsize - left))


def of_a_shard(share: float) -> Callable[[Trainer], int]:
    """This share of the bytes that one rank's file of a checkpoint takes."""
    newest = f"{name_of(FULL_AT // 5 * 5)}/rank-0.safetensors"
    return lambda trainer: int(share * Path((trainer.checkpoints / newest).path).stat().st_size)


def leftovers(disk: Path) -> list[Path]:
    return list(disk.rglob("*.tmp"))


@pytest.mark.parametrize("share", [0.5, 1.05], ids=["the weights don't fit", "all but the masks fits"])
def test_a_full_disk_fails_the_run_and_with_room_it_goes_on_to_the_same_bits(
    share: float, disk: Path, text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, whole, folder = make_spec(), Folder.open(tmp_path / "whole"), Folder.open(disk / "run")
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
    spec, whole, folder = make_spec(), Folder.open(tmp_path / "whole"), Folder.open(disk / "run")
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
    spec, whole, folder = make_spec(), Folder.open(tmp_path / "whole"), Folder.open(disk / "run")
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


# --------------------------------------------------------------------------------------- one worker of two

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
            zero.fragments(trainer.engine)[0].master.fill_(float("nan"))

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
    assert status["try_micro_batch"] == BATCH // 4
