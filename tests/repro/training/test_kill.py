"""kill -9 while checkpoints are written: there is always a whole one, and going on from it changes no bit."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.training import train
from repro.training.checkpoint_manifest import examine
from tests.repro.training.lives import assert_same

Make = Callable[..., RunSpec]
pytestmark = [pytest.mark.slow, pytest.mark.long]

ROOT = Path(__file__).parents[3]
PATIENCE = 300.0  # seconds that a child may take to start up and to save, on a machine with other work
DELAYS = (0, 0.001, 0.003, 0.01)  # seconds into a saving

# The command as a user gives it; it says besides which step it goes on from.
CHILD = """
import sys
from repro.training import checkpoint
from repro.__main__ import main
restore = checkpoint.restore
def told(*args):
    found = restore(*args)
    print(f"\\nrestored: step {found.step if found else 0}", flush=True)
    return found
checkpoint.restore = told
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Child:
    """One process that trains a run with a checkpoint every step, of which two are kept."""

    spec: Path
    run: Path
    corpus: Path
    log: Path
    process: subprocess.Popen = field(init=False)

    def __post_init__(self) -> None:
        words = ["train", self.spec, "--out", self.run, "--corpus", self.corpus, "--checkpoint-every", "1"]
        words += ["--keep-checkpoints", "2"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", CHILD, *map(str, words)], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def came_from(self) -> int | None:
        """The step it goes on from; None before it has said so."""
        said = re.search(r"^restored: step (\d+)\n", self.log.read_text(), re.MULTILINE)
        return int(said[1]) if said else None

    def wait_for(self, what: str, seen: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not seen():
            assert self.process.poll() is None, f"ended before {what}:\n{self.log.read_text()}"
            assert time.monotonic() < end, f"no {what}:\n{self.log.read_text()}"
            time.sleep(0.0002)

    def hold_while(self, seen: Callable[[], bool]) -> None:
        """Stops the process in its tracks at some moment at which something is to be seen."""
        while True:
            self.process.send_signal(signal.SIGSTOP)
            _, status = os.waitpid(self.process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), self.log.read_text()
            if seen():
                return
            self.process.send_signal(signal.SIGCONT)
            self.wait_for("another moment", seen)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, self.log.read_text()


def files(run: Path) -> dict[str, set[str]]:
    """Names in each folder of a checkpoint at this moment, while a process may write and remove there."""
    found = os.walk(run / "checkpoint")  # unlike glob, it passes over what vanishes meanwhile
    return {Path(folder).name: set(names) for folder, _, names in found if Path(folder).name != "checkpoint"}


def torn(found: dict[str, set[str]]) -> bool:
    """Whether a saving, or the removal of an old checkpoint, is under way."""
    return any("manifest.json" not in names or any(n.endswith(".tmp") for n in names) for names in found.values())


def whole_steps(run: Path) -> list[int]:
    """The steps of the checkpoints that are whole, by their hashes."""
    folder = Folder.open(run / "checkpoint")
    return [int(name.removeprefix("step-")) for name in folder.names() if examine(folder / name)[1] is None]


def finished_steps(found: dict[str, set[str]]) -> list[int]:
    return [int(name.removeprefix("step-")) for name, names in found.items() if "manifest.json" in names]


def kill_while_saving(child: Child, further: int, delay: float | None) -> tuple[int, bool]:
    """Kills a child that has finished `further` checkpoints, or a few more; with 0, one that has finished none.

    Args:
        delay: seconds from the moment at which a saving shows, which may end meanwhile; None makes sure it has not.

    Returns:
        The newest checkpoint that was seen finished, and whether the kill left a saving or a removal half done.
    """
    child.wait_for("the start", lambda: child.came_from is not None)
    target = (child.came_from or 0) + further
    child.wait_for(f"step {target}", lambda: max(finished_steps(files(child.run)), default=0) >= target)
    child.wait_for("a saving", lambda: torn(files(child.run)))
    if delay is None:
        child.hold_while(lambda: torn(files(child.run)))
    else:
        time.sleep(delay)
    newest = max([target, *finished_steps(files(child.run))])
    child.kill()
    return newest, torn(files(child.run))


@pytest.mark.parametrize(
    ("kills", "dense_steps"),
    [pytest.param(2, 24, id="twice"), pytest.param(20, 100, id="20 times", marks=pytest.mark.full)],
)
def test_a_run_that_is_killed_while_it_saves_goes_on_from_a_whole_checkpoint(
    kills: int, dense_steps: int, text: Corpus, text_root: Path, make_spec: Make, tmp_path: Path
) -> None:
    spec, run, chance = make_spec(dense_steps=dense_steps), tmp_path / "run", random.Random(kills)
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_dict()))

    def start(life: int) -> Child:
        return Child(tmp_path / "spec.json", run, text_root, tmp_path / f"log-{life}")

    expected, half_done = 0, 0
    for life in range(kills):
        with start(life) as child:
            further, delay = chance.randint(1, 9), chance.choice(DELAYS)
            newest, is_torn = kill_while_saving(child, further if life else 0, delay if life % 2 else None)
        assert child.came_from == expected, f"life {life} went on from another checkpoint than the newest whole one"
        expected, half_done = max(whole_steps(run), default=0), half_done + is_torn
        assert expected >= newest, f"checkpoint {newest} was finished before kill {life}; whole are {whole_steps(run)}"
    print(f"{half_done} of {kills} kills left a saving or a removal half done; the last one at step {expected}")
    assert 2 * half_done >= kills, f"only {half_done} of {kills} kills fell into a saving"
    with start(kills) as last:
        assert last.process.wait(PATIENCE) == 0, last.log.read_text()
    assert last.came_from == expected > 0
    assert expected < spec.schedule.total_steps
    assert not torn(files(run))
    train.train(spec, Folder.open(tmp_path / "whole"), text, Resources())
    assert_same(Folder.open(run), Folder.open(tmp_path / "whole"), f"after {kills} kills")
