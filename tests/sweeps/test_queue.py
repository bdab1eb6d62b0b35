"""The queue by itself: order, room, pauses, and what other drivers do. A clock that only the test moves, and no Ray."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from repro.resources import Resources
from repro.spec import RunSpec
from repro.store import processes
from repro.store.folder import Folder
from repro.store.run_folder import KEPT_ERRORS, RunFolder, Stamps
from repro.training.assignment import Assignment
from sweeps import queue
from sweeps.queue import LONGEST_PAUSE, PAUSE, POLL, Job, Queue

RETRIES = 8


@dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(queue, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def job(make_spec: Callable[..., RunSpec], tmp_path: Path) -> Callable[..., Job]:
    def make(run_id: str, workers: int = 1, waits: Callable[[], bool] = bool, sharing: int | None = None) -> Job:
        folder = str(tmp_path / run_id)
        resources = Resources(workers=workers, retries=RETRIES, runs_per_gpu=sharing or 1)
        assignment = Assignment(
            make_spec(run_id=run_id), resources, folder, "corpus", "0" * 16, None, (), None, (), str(tmp_path), "mine", None,
            gpu=sharing is not None,
        )  # fmt: skip
        return Job(assignment, RunFolder(Folder.open(folder)), waits)

    return make


def queued(*jobs: Job, devices: int = 1, lanes: int | None = None, stop: Callable[[], bool] = bool) -> Queue:
    before = Stamps({job.run_id: job.run for job in jobs})
    return Queue(jobs, lambda: devices, lanes, stop, before, say=lambda _: None)


def started(waiting: Queue) -> list[str]:
    """The runs that start at this moment."""
    found = []
    while job := waiting.next():
        found.append(job.run_id)
    return found


def test_runs_start_in_their_order_as_devices_become_free(clock: Clock, job: Callable[..., Job]) -> None:
    waiting = queued(job("a", 2), job("b", 2), job("c"), devices=3)
    assert started(waiting) == ["a", "c"]  # b needs more than the one device that is left, c does not
    waiting.ended("c", "done")
    assert started(waiting) == []
    waiting.ended("a", "done")
    assert started(waiting) == ["b"]
    waiting.ended("b", "failed")
    assert waiting.is_over
    assert (waiting.trained, waiting.most) == ({"a", "c"}, 2)


def test_lanes_count_runs_and_not_their_workers(clock: Clock, job: Callable[..., Job]) -> None:
    assert started(queued(job("a", 2), job("b", 2), job("c"), devices=1, lanes=2)) == ["a", "b"]


def test_runs_that_share_a_gpu_start_together_and_a_group_needs_whole_ones(
    clock: Clock, job: Callable[..., Job]
) -> None:
    thirds = [job(f"third-{k}", sharing=3) for k in range(4)]
    waiting = queued(*thirds, job("group", workers=2, sharing=3), job("half", sharing=2), devices=2)
    assert started(waiting) == ["third-0", "third-1", "third-2", "third-3", "half"]
    for third in thirds[1:]:
        waiting.ended(third.run_id, "done")
    assert started(waiting) == []  # 5/6 of a device are taken
    waiting.ended("third-0", "done")
    assert started(waiting) == []
    waiting.ended("half", "done")
    assert started(waiting) == ["group"]


def test_cores_are_not_shared(clock: Clock, job: Callable[..., Job]) -> None:
    runs = [job(name) for name in ("a", "b")]
    for run in runs:
        run.assignment = replace(run.assignment, resources=replace(run.assignment.resources, runs_per_gpu=2))
    assert started(queued(*runs)) == ["a"]


def test_nothing_starts_once_it_is_told_to_stop(clock: Clock, job: Callable[..., Job]) -> None:
    waiting = queued(job("a"), stop=lambda: True)
    assert (started(waiting), waiting.is_over) == ([], True)


def test_a_run_whose_worker_died_is_tried_again_after_pauses_that_double_and_then_fails(
    clock: Clock, job: Callable[..., Job]
) -> None:
    waiting, pauses = queued(only := job("a")), []
    for _ in range(RETRIES):
        assert started(waiting) == ["a"]
        waiting.ended("a", "died", "killed")
        assert started(waiting) == []
        pauses.append(only.not_before - clock.now)
        clock.now += pauses[-1]
    assert pauses == [min(PAUSE * 2**k, LONGEST_PAUSE) for k in range(RETRIES)]
    assert pauses[-1] == LONGEST_PAUSE
    assert started(waiting) == ["a"]
    waiting.ended("a", "died", "killed")
    status = only.run.status()
    assert (status["state"], status["reason"]) == (
        "failed",
        f"its worker died {RETRIES + 1} times without progress: killed; tracebacks in {only.run.folder}/errors",
    )
    assert waiting.is_over


def test_deaths_with_progress_between_them_never_fail_a_run(clock: Clock, job: Callable[..., Job]) -> None:
    """Each time its worker has saved a later checkpoint, which counts once its manifest is there."""
    waiting = queued(only := job("a"))
    for step in range(5 * RETRIES):
        assert started(waiting) == ["a"]
        only.run.folder.write_json(f"checkpoint/step-{100 * step:08d}/manifest.json", {})
        waiting.ended("a", "died", "Traceback\nkilled")
        assert only.not_before - clock.now == PAUSE
        clock.now += PAUSE
    only.run.folder.write("checkpoint/step-99999999/rank-0.safetensors", b"")
    for _ in range(RETRIES):
        assert started(waiting) == ["a"]
        waiting.ended("a", "died", "killed")
        clock.now += LONGEST_PAUSE
    assert only.run.status()["state"] == "failed"
    errors = only.run.folder / "errors"
    assert len(errors.names()) == KEPT_ERRORS
    assert errors.read(errors.names()[-1]) == b"killed"


def test_a_run_that_was_stopped_by_a_signal_goes_on_and_by_its_driver_does_not(
    clock: Clock, job: Callable[..., Job]
) -> None:
    stopping: list[int] = []
    waiting = queued(job("a"), stop=lambda: bool(stopping))
    assert started(waiting) == ["a"]
    waiting.ended("a", "stopped")
    clock.now += PAUSE
    assert started(waiting) == ["a"]
    stopping.append(1)
    waiting.ended("a", "stopped")
    assert waiting.waiting == []


def test_a_run_that_pauses_lets_others_by_and_then_comes_before_those_that_wait(
    clock: Clock, job: Callable[..., Job]
) -> None:
    waiting = queued(job("a"), job("b"), job("c"))
    assert started(waiting) == ["a"]
    waiting.ended("a", "died", "killed")
    assert started(waiting) == ["b"]
    clock.now += PAUSE
    waiting.ended("b", "done")
    assert started(waiting) == ["a"]


def test_a_run_that_another_driver_holds_is_looked_at_again_later(clock: Clock, job: Callable[..., Job]) -> None:
    held = job("a")
    theirs = json.dumps({"driver": "theirs", **processes.mine(), "began": 0.0}).encode()
    assert held.run.folder.create("lease-000001.json", theirs)
    waiting = queued(held, job("b"), devices=2)
    assert started(waiting) == ["b"]
    held.run.folder.delete("lease-000001.json")
    clock.now += POLL / 2
    assert started(waiting) == []
    clock.now += POLL / 2
    assert started(waiting) == ["a"]


def test_the_lease_of_a_dead_holder_is_passed_over(clock: Clock, job: Callable[..., Job]) -> None:
    dead = job("a")
    assert dead.run.folder.create("lease-000003.json", json.dumps({**processes.mine(), "pid": 2**22 + 1}).encode())
    waiting = queued(dead)
    found = waiting.next()
    assert found is not None
    assert found.assignment.over == "lease-000003.json"


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_run_that_another_driver_has_ended_meanwhile_is_dropped(
    state: str, clock: Clock, job: Callable[..., Job]
) -> None:
    theirs = job("a")
    waiting = queued(theirs, job("b"), devices=2)
    facts = {"reason": "loss is not finite"} if state == "failed" else {}
    theirs.run.folder.write_json("status.json", {"state": state, "updated": 1.0, **facts})
    assert started(waiting) == ["b"]
    waiting.ended("b", "done")
    assert waiting.is_over


def test_a_run_that_had_failed_before_is_tried_again(clock: Clock, job: Callable[..., Job]) -> None:
    failed = job("a")
    failed.run.progress("failed", reason="loss is not finite")
    assert started(queued(failed)) == ["a"]


def test_a_run_waits_for_the_checkpoint_that_it_continues_from(clock: Clock, job: Callable[..., Job]) -> None:
    saved: list[int] = []
    waiting = queued(job("child", waits=lambda: not saved), job("parent"), devices=2)
    assert started(waiting) == ["parent"]
    saved.append(40)
    clock.now += POLL
    assert started(waiting) == ["child"]
