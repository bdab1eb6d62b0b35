"""A run that is told to stop, by a signal or by its driver, saves the last whole step, on every worker alike, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from repro.console.signals import Heeded
from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import MovesSpec, RunSpec
from repro.store import lease, stop
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder, Stopped
from repro.training import pace, train
from repro.training.checkpoint_manifest import examine, name_of
from repro.training.pace import Agreement
from repro.training.trainer import Trainer
from repro.training.zero import DeepSpeedEngine
from tests import workers
from tests.repro.training.failing import before_step
from tests.repro.training.lives import assert_same, life, stopped

Make = Callable[..., RunSpec]
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
FOUR = Resources(micro_batch=1)  # micro-batches per update


@dataclass
class Told:
    """A signal that comes during a certain micro-batch, counted from 1."""

    at: int
    passed: int = 0

    def __call__(self) -> bool:
        self.passed += 1
        return self.passed >= self.at


def saved(folder: Folder) -> list[str]:
    names = (folder / "checkpoint").names()
    assert all(examine(folder / "checkpoint" / name)[1] is None for name in names)
    return names


@pytest.fixture
def spec(make_spec: Make) -> RunSpec:
    """57 steps, the first pruning event before step 8."""
    return make_spec(dense_steps=24)


@pytest.fixture(scope="module")
def whole(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], Folder]:
    """That run when nobody disturbs it."""
    folder = Folder.open(tmp_path_factory.mktemp("whole"))

    def trained(spec: RunSpec) -> Folder:
        if RunFolder(folder).status()["state"] != "done":
            train.train(spec, folder, text, FOUR)
        return folder

    return trained


@pytest.mark.parametrize(
    ("step", "micro_batch", "kept"),
    [
        pytest.param(5, 2, 5, id="in an update"),
        pytest.param(5, 4, 6, id="after an update", marks=pytest.mark.full),
        pytest.param(8, 1, 9, id="in an update after a pruning event"),
    ],
)
def test_a_stop_leaves_an_update_that_is_under_way_and_the_run_goes_on_to_the_same_bits(
    step: int, micro_batch: int, kept: int, spec: RunSpec, text: Corpus, tmp_path: Path, whole: Callable
) -> None:
    folder = Folder.open(tmp_path / "run")
    assert (spec.schedule.event_at(step) is None) == (step == 5)
    with pytest.raises(Stopped, match=f"at step {kept} of"):
        train.train(spec, folder, text, FOUR, signalled=Told(4 * step + micro_batch))
    status = RunFolder(folder).status()
    assert (status["state"], status["step"]) == ("queued", kept)
    assert saved(folder) == [name_of(kept)]
    with life() as second:
        train.train(spec, folder, text, FOUR)
    assert second.steps[0] == kept
    assert_same(folder, whole(spec), "after a stop")


@pytest.mark.parametrize(
    ("micro_batch", "kept"),
    [
        pytest.param(2, 8, id="in its dense gradients"),
        pytest.param(4, 9, id="in its update", marks=pytest.mark.full),
    ],
)
def test_an_event_is_left_while_it_takes_gradients_and_no_more_once_it_has_returned_weights(
    micro_batch: int, kept: int, make_spec: Make, text: Corpus, tmp_path: Path
) -> None:
    """Between the two is the first of three looks that an update takes between its micro-batches."""
    spec = make_spec(0.7, dense_steps=16, shape="constant", moves=MovesSpec(8, 0.3, return_="gradient"))
    folder, undisturbed = Folder.open(tmp_path / "run"), Folder.open(tmp_path / "whole")
    with pytest.raises(Stopped, match=f"at step {kept} of"):
        train.train(spec, folder, text, FOUR, signalled=Told(4 * 8 + micro_batch))
    assert saved(folder) == [name_of(kept)]
    train.train(spec, folder, text, FOUR)
    train.train(spec, undisturbed, text, FOUR)
    assert_same(folder, undisturbed, "after a stop at a move")


def test_a_stop_before_anything_is_done_saves_nothing_over_what_there_is(
    spec: RunSpec, text: Corpus, tmp_path: Path
) -> None:
    folder = Folder.open(tmp_path / "run")
    stopped(spec, folder, text, Resources(micro_batch=1, checkpoint_every=7), 9)
    manifest = Path((folder / "checkpoint" / name_of(7)).path, "manifest.json")
    before = manifest.stat().st_mtime_ns
    with pytest.raises(Stopped, match="at step 7 of"):
        train.train(spec, folder, text, FOUR, signalled=lambda: True)
    assert manifest.stat().st_mtime_ns == before


# ------------------------------------------------------------------------------------------------- two workers


def ends(spec: RunSpec, corpus: Path, folder: Path, resources: Resources) -> list[str]:
    """How a run ends on this rank, of which the second gets a signal in step 6, and whose clock runs twice as fast."""

    def signalled(trainer: Trainer) -> None:
        if trainer.rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    clock, text = time.monotonic, Corpus(corpus)
    with pytest.MonkeyPatch.context() as patch, Heeded("stopping") as heeded, before_step(6, signalled):
        patch.setattr(pace, "LOOK", 0.001)  # steps take milliseconds here
        if int(os.environ["RANK"]) == 1:
            patch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: 2 * clock(), perf_counter=time.perf_counter))
        try:
            train.train(spec, Folder.open(folder), text, resources, signalled=heeded.asked)
        except Stopped as error:
            return [str(error), *saved(Folder.open(folder))]
    return ["not stopped"]


def test_a_signal_to_one_of_two_workers_stops_both_at_one_step(spec: RunSpec, text: Corpus, tmp_path: Path) -> None:
    two = Resources(workers=2, micro_batch=1, zero_stage=2, checkpoint_minutes=0.2 / 60, keep_checkpoints=1)
    first, second = workers.run(2, ends, spec, text.folder, tmp_path / "run", two)
    assert first == second
    step = RunFolder(Folder.open(tmp_path / "run")).status()["step"]
    assert first == [f"run at step {step} of {spec.schedule.total_steps}", name_of(step)]
    assert 6 <= step < spec.schedule.total_steps
    with life() as again:
        train.train(spec, Folder.open(tmp_path / "run"), text, FOUR)
    assert again.steps[0] == step


# ------------------------------------------------------------------------------------------------- minutes


def test_checkpoints_are_saved_by_the_minute_and_by_the_step_where_that_is_asked_for(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    def steps(name: str, resources: Resources) -> list[str]:
        stopped(make_spec(), Folder.open(tmp_path / name), text, resources, 10)
        return saved(Folder.open(tmp_path / name))

    moment = 1e-9
    assert steps("always", Resources(checkpoint_minutes=moment, keep_checkpoints=3)) == [name_of(s) for s in (8, 9, 10)]
    assert steps("seldom", Resources()) == []
    assert steps("by steps", Resources(checkpoint_every=4)) == [name_of(s) for s in (4, 8)]


# ------------------------------------------------------------------------------------------------- the command


def test_the_command_saves_at_a_sigterm_and_goes_on(
    text: Corpus, text_root: Path, make_spec: Make, tmp_path: Path
) -> None:
    spec, out = replace(make_spec(dense_steps=2000), repeat=True), tmp_path / "run"
    (tmp_path / "spec.json").write_text(json.dumps(spec.to_dict()))
    command = [sys.executable, "-m", "repro", "train", str(tmp_path / "spec.json"), "--out", str(out)]
    with subprocess.Popen(
        [*command, "--corpus", str(text_root)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        end = time.monotonic() + 120
        while RunFolder(Folder.open(out)).status().get("step", 0) == 0:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    status = RunFolder(Folder.open(out)).status()
    assert status["state"] == "queued"
    assert saved(Folder.open(out)) == [name_of(status["step"])]
    assert f"at step {status['step']} of" in said


# ------------------------------------------------------------------------------------------------- slow steps

SLOW = 17.0  # seconds of a step


class SlowEngine(DeepSpeedEngine):
    """Its steps last as long as those of a large model."""

    def backward(self, loss: object) -> None:
        time.sleep(SLOW / 4)
        super().backward(loss)  # type: ignore[arg-type]


def decided_at(spec: RunSpec, corpus: Path, folder: Path) -> float:
    """The moment at which this rank knows that all stop, because the driver has asked them to."""
    exchange, at = Agreement._exchange, 0.0

    def noted(agreed: Agreement) -> None:
        nonlocal at
        exchange(agreed)
        at = at or agreed.stop * time.monotonic()

    resources, asked = Resources(workers=2, micro_batch=1), partial(stop.is_asked, Folder.open(folder.parent), "d")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "DeepSpeedEngine", SlowEngine)
        patch.setattr(Agreement, "_exchange", noted)
        patch.setattr(lease, "DISK", lease.NETWORK)  # the heartbeats of an object store
        with pytest.raises(Stopped):
            train.train(spec, Folder.open(folder), Corpus(corpus), resources, asked=asked)
    return at


@pytest.mark.full
def test_a_stop_is_seen_within_ten_seconds_though_a_step_takes_17(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    results, place = Folder.open(tmp_path), tmp_path / "run"
    with ThreadPoolExecutor() as pool:
        decided = pool.submit(workers.run, 2, decided_at, make_spec(batch=8), text.folder, place)
        while RunFolder(Folder.open(place)).status().get("step") != 1:
            assert not decided.done(), decided.result()
            time.sleep(0.1)
        asked = time.monotonic()
        stop.ask(results, "d")
    waited = [at - asked for at in decided.result()]
    print(f"seconds from the request to the decision, on each worker: {waited}")
    assert all(0 < seconds <= 10 for seconds in waited)
    assert RunFolder(Folder.open(place)).status()["step"] == 1, "the second step was left, not trained to its end"
