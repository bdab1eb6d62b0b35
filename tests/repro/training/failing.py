"""How runs are made to fail, and what is asked of a failed one."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, RunFolder
from repro.training import train
from repro.training.checkpoint_manifest import examine, name_of
from repro.training.trainer import Trainer
from tests import workers

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
    update, done = Trainer.step, False

    def patched(trainer: Trainer, at: int) -> None:
        nonlocal done
        if at == step and not done:
            done = True
            act(trainer)
        update(trainer, at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", patched)
        yield


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
