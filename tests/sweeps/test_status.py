"""Where a sweep stands is read from its files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from sweeps.__main__ import main
from sweeps.snapshot import clock
from sweeps.sweep_json import Planned
from sweeps.watcher import Watcher

RUNS = [Planned(f"run-{i}", tokens=1000, cost=10.0) for i in range(6)]
ASKED = [run.run_id for run in RUNS[2:]]


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    """Two runs ended before; of the four asked for, one is done, one at work, one failed and one waits."""
    folder, began = Folder.open(tmp_path), time.time() - 10
    kept = {"name": "six", "planned": [vars(run) for run in RUNS], "training": {"began": began, "runs": ASKED}}
    folder.write_json("sweep.json", kept)
    done, running, failed, _ = (RunFolder(folder / "runs" / run_id) for run_id in ASKED)
    done.progress("done", step=10, total_steps=10)
    running.progress("running", step=5, total_steps=10, tokens_per_second=100.0)
    failed.progress("failed", reason="not finite")
    return folder


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
    assert "no word for 1:40" in Watcher.of(place).look().rows()[0]


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


# ---------------------------------------------------------------------------------------------- damage and strangers


def shown_in_a_terminal(place: Folder, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the command draws in a real terminal."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as stdout, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stdout)
        patch.setenv("COLUMNS", "200")
        patch.setenv("TERM", "xterm")
        assert main(["status", place.path]) == 0
        stdout.flush()
        drawn = b""
        os.set_blocking(ours, False)
        with contextlib.suppress(BlockingIOError):
            while part := os.read(ours, 2**16):
                drawn += part
    os.close(ours)
    return drawn.decode()


def ended(place: Folder, **failed: str) -> None:
    for run_id in ASKED:
        run = RunFolder(place / "runs" / run_id)
        run.progress("done", step=10, total_steps=10)
    if failed:
        RunFolder(place / "runs" / "run-4").progress("failed", **failed)


def test_a_terminal_shows_the_line_when_no_run_is_at_work(place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(place)
    assert "six: 6 done, 0 running, 0 failed, 0 queued" in shown_in_a_terminal(place, monkeypatch)


HOSTILE = [
    "[/bold] closes what nobody opened",
    "[link=file:///etc/passwd]here[/link] [red]x",
    "\x1b]0;title\x07\x1b[2J\x1b[31mred",
    "\x9b2J of eight bits",
    "turned \u202egnp.exe\u202c and \u2066hidden\u2069",
    "over\rwritten\nand a second line\b\b",
]


@pytest.mark.parametrize("reason", HOSTILE)
def test_what_a_file_says_neither_commands_the_terminal_nor_is_markup(
    reason: str, place: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(place, reason=reason)
    kept = place.read_json("sweep.json")
    place.write_json("sweep.json", kept | {"name": reason})
    drawn = shown_in_a_terminal(place, monkeypatch)
    assert main(["status", place.path]) == 0
    printed = capsys.readouterr().out
    for text in (re.sub(r"\x1b\[[?]?[0-9;]*[A-Za-z]", "", drawn), printed):  # but for what rich itself says
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "\x1b]0;" not in drawn
    assert "\x1b[31m" not in drawn
    assert len([line for line in printed.splitlines() if line.strip()]) == 2
    assert json.loads(json.dumps(reason)) == RunFolder(place / "runs" / "run-4").status()["reason"]
    if reason.startswith("["):
        assert reason in printed


def test_a_reason_without_end_is_cut(place: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    ended(place, reason="x" * 10**6)
    assert main(["status", place.path]) == 0
    assert len(capsys.readouterr().out) < 1000


def test_one_damaged_status_leaves_the_others_shown(place: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    place.write("runs/run-3/status.json", b'{"state": "running", "step"')
    assert main(["status", place.path]) == 0
    printed = capsys.readouterr().out
    assert "3 done, 0 running, 2 failed, 1 queued" in printed
    assert "run-3  failed  status.json is damaged" in printed
    assert "run-4  failed  not finite" in printed


def kept_with(**facts: object) -> bytes:
    runs = [vars(run) for run in RUNS]
    said = {"name": "six", "planned": runs, "training": {"began": 1.0, "runs": ASKED}} | facts
    return json.dumps(said).encode()


PLAN = vars(RUNS[0])
BROKEN: dict[str, bytes] = {
    "half of it": kept_with()[:50],
    "a list": b"[1, 2]",
    "text": b'"x"',
    "deep": b"[" * 100_000,
    "a name that is none": kept_with(name=None),
    "a plan of text": kept_with(planned="all"),
    "a plan of numbers": kept_with(planned=[1]),
    "a plan with a key too many": kept_with(planned=[PLAN | {"rm": "-rf"}]),
    "a plan without a key": kept_with(planned=[{"run_id": "a"}]),
    "a run that is a path": kept_with(planned=[PLAN | {"run_id": "../../../etc"}]),
    "tokens below none": kept_with(planned=[PLAN | {"tokens": -1}]),
    "a cost that is none": kept_with(planned=[PLAN | {"cost": float("nan")}]),
    "training of a list": kept_with(training=[]),
    "runs of numbers": kept_with(training={"began": 1.0, "runs": [1]}),
    "a beginning of text": kept_with(training={"began": "now", "runs": []}),
    "what was before, of text": kept_with(training={"began": 1.0, "runs": [], "before": {"run-2": "x"}}),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_sweep_json_of_any_content_is_one_message(
    data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.json").write_bytes(data)
    assert main(["status", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "sweep.json" in said


@pytest.mark.parametrize("key", ["planned", "training"])
def test_an_older_form_is_told_from_none_and_what_to_do_is_said(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = json.loads(kept_with())
    del said[key]
    (tmp_path / "sweep.json").write_text(json.dumps(said))
    assert main(["status", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert "older form" in printed
    assert "analysis report" in printed


def test_plans_of_no_tokens_and_speeds_without_end_divide_nothing_by_none(
    place: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = place.read_json("sweep.json")
    nothing = [plan | {"tokens": 0, "cost": 0.0} for plan in kept["planned"]]
    place.write_json("sweep.json", kept | {"planned": nothing})
    for run_id, speed in (("run-3", 1e299), ("run-4", 1e-299), ("run-5", 0.0)):
        run = RunFolder(place / "runs" / run_id)
        run.progress("running", step=1, total_steps=2**60, tokens_per_second=speed, mfu=-1e299)
    assert main(["status", place.path]) == 0
    assert main(["status", place.path, "--json"]) == 0
    assert "3 running" in capsys.readouterr().out


@pytest.mark.parametrize("price", ["nan", "-1", "inf"])
def test_a_price_that_is_none_is_refused(price: str, place: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", place.path, f"--price={price}"]) == 2
    assert "--price" in capsys.readouterr().err


def test_a_clock_that_is_set_back_hides_no_run(place: Folder) -> None:
    """What ran before is told by what the driver saw when it began, not by whose clock is ahead."""
    kept = place.read_json("sweep.json")
    stood = {run_id: RunFolder(place / "runs" / run_id).status().get("updated") for run_id in ASKED}
    place.write_json("sweep.json", kept | {"training": kept["training"] | {"before": stood}})
    assert (seen := Watcher.of(place).look()).queued == 4, seen
    run = place / "runs" / "run-2"
    run.write_json("status.json", run.read_json("status.json") | {"updated": time.time() - 1e6})
    seen = Watcher.of(place).look()
    assert (seen.done, seen.queued) == (3, 3)
    assert seen.elapsed >= 0


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e300])
def test_what_is_no_time_is_shown_as_unknown(seconds: float) -> None:
    assert clock(seconds) == "?"
