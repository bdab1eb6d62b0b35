"""Where a sweep stands is read from its files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from sweeps.__main__ import main
from sweeps.snapshot import clock
from sweeps.watcher import Watcher
from tests.sweeps.under_way import ASKED, RUNS, six


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return six(tmp_path)


def test_it_counts_what_the_files_say_and_estimates_what_is_left(place: Folder) -> None:
    seen = Watcher.of(place, price=3600.0).look()
    assert (seen.done, len(seen.running), len(seen.failed), seen.queued) == (3, 1, 1, 1)
    assert seen.failed == (("run-4", "not finite"),)
    [running] = seen.running
    assert (running.share, running.left) == (0.5, 5.0)
    # 2.5 of 4 runs' cost took ten seconds: the other 1.5 take six, and at 3,600 an hour six is what they cost.
    assert seen.left == pytest.approx(6, rel=0.02)
    assert seen.price_left == pytest.approx(seen.left)
    assert seen.rate == pytest.approx(250, rel=0.02)


def test_a_run_that_says_nothing_for_long_is_marked(place: Folder) -> None:
    file = place / "runs" / "run-3"
    file.write_json("status.json", {**file.read_json("status.json"), "updated": time.time() - 100})
    kept = place.read_json("sweep.json")
    place.write_json("sweep.json", {**kept, "training": {**kept["training"], "began": time.time() - 200}})
    assert "no update for 1:40" in Watcher.of(place).look().rows()[0]


def test_it_names_the_slowest_for_its_plan_and_says_how_busy_the_devices_are(
    place: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker of each of the four does 100, 50 and 100 tokens/s of equal cost; the last hasn't said its speed yet."""
    said: dict[str, dict[str, float | None]] = {
        "run-2": {"tokens_per_second": 400.0, "workers": 4, "mfu": 0.3},
        "run-3": {"tokens_per_second": 50.0, "workers": 1, "mfu": 0.1},
        "run-4": {"tokens_per_second": 100.0, "workers": 1, "mfu": None},
        "run-5": {},
    }
    for run_id, facts in said.items():
        RunFolder(place / "runs" / run_id).progress("running", step=5, total_steps=10, **facts)
    seen = Watcher.of(place).look()
    assert seen.slowest == "run-3"
    assert {r.run_id: r.pace for r in seen.running} == {"run-2": 1.0, "run-3": 0.5, "run-4": 1.0, "run-5": None}
    assert seen.mfu == pytest.approx((4 * 0.3 + 0.1) / 5)  # of the one whose peak isn't known nothing is said
    main(["status", place.path])
    printed = capsys.readouterr().out
    assert "MFU 26.0%" in printed
    [named] = [line for line in printed.splitlines() if "the slowest" in line]
    assert "run-3" in named
    assert "50% of the median pace" in named


def test_a_run_alone_is_neither_fast_nor_slow(place: Folder) -> None:
    seen = Watcher.of(place).look()
    assert (seen.slowest, seen.mfu, [run.pace for run in seen.running]) == (None, None, [None])


def test_what_was_begun_again_is_told_with_how_it_ended_before(
    place: Folder, make_spec: Callable[..., RunSpec], capsys: pytest.CaptureFixture[str]
) -> None:
    failed, waiting = (RunFolder(place / "runs" / run_id) for run_id in ("run-4", "run-5"))
    for _ in range(2):
        failed.begin(make_spec(), "text")
    failed.progress("failed", reason="not finite")
    waiting.declare(make_spec(), "text")
    waiting.begin(make_spec(), "text")
    seen = Watcher.of(place).look()
    assert [(r.run_id, r.attempts, r.before) for r in seen.retried] == [("run-4", 3, "stopped, or its process died")]
    failed.begin(make_spec(), "text")
    failed.progress("done", step=10, total_steps=10)
    assert main(["status", place.path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["retried"] == [{"run_id": "run-4", "attempts": 4, "before": "not finite"}]
    main(["status", place.path])
    assert "run-4  retried  attempt 4  before: not finite" in capsys.readouterr().out


def test_what_ended_before_training_began_is_still_to_be_done(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    RunFolder(folder / "runs" / "run-0").progress("failed", reason="earlier")
    time.sleep(0.01)
    seen = Watcher(folder, "one", RUNS[:1], ["run-0"], time.time()).look()
    assert (seen.failed, seen.queued, seen.left) == ((), 1, None)


def test_when_all_have_ended_nothing_is_left(place: Folder) -> None:
    for run_id in ASKED:
        RunFolder(place / "runs" / run_id).progress("done", step=10, total_steps=10)
    seen = Watcher.of(place).look()
    assert (seen.done, seen.queued, seen.left) == (6, 0, 0.0)
    assert Watcher.of(place).look().elapsed == seen.elapsed  # the clock stands still once the last one has ended


def test_the_command_prints_it_once_where_there_is_no_terminal(
    place: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", place.path]) == 0
    printed = capsys.readouterr().out
    assert "six: 3 done, 1 running, 1 failed, 1 queued" in printed
    assert "run-4  failed  not finite" in printed


def test_for_machines_it_is_one_object(place: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", place.path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["failed"] == [{"run_id": "run-4", "reason": "not finite"}]
    assert found["running"][0]["run_id"] == "run-3"


def test_looking_writes_nothing(place: Folder) -> None:
    before = {p: p.stat().st_mtime_ns for p in Path(place.path).rglob("*")}
    main(["status", place.path])
    assert {p: p.stat().st_mtime_ns for p in Path(place.path).rglob("*")} == before


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 2
    assert "no sweep has begun here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("seconds", "shown"), [(5, "0:05"), (65.9, "1:05"), (3723, "1:02:03")])
def test_a_time_is_shown_as_on_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
