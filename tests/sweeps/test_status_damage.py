"""`sweeps status` of a folder that is damaged or written by strangers: a message, and a terminal that obeys nobody else."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path

import pytest

from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.store.status import stamp
from sweeps.__main__ import main
from sweeps.snapshot import clock
from sweeps.watcher import Watcher
from tests.sweeps.under_way import ASKED, RUNS, six


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return six(tmp_path)


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
    "what was before, of a list": kept_with(training={"began": 1.0, "runs": [], "before": {"run-2": ["x"]}}),
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
    assert main(["status", place.path, f"--price-per-hour={price}"]) == 2
    assert "--price-per-hour" in capsys.readouterr().err


def test_a_clock_that_is_set_back_hides_no_run(place: Folder) -> None:
    """What ran before is told by what the driver saw when it began, not by whose clock is ahead."""
    kept = place.read_json("sweep.json")
    stood = {run_id: stamp(RunFolder(place / "runs" / run_id).status()) for run_id in ASKED}
    place.write_json("sweep.json", kept | {"training": kept["training"] | {"before": stood}})
    assert (seen := Watcher.of(place).look()).queued == 4, seen
    run = place / "runs" / "run-2"
    RunFolder(run).progress("done", step=10, total_steps=10)
    run.write_json("status.json", run.read_json("status.json") | {"updated": time.time() - 1e6})
    seen = Watcher.of(place).look()
    assert (seen.done, seen.queued) == (3, 3)
    assert seen.elapsed >= 0


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e300])
def test_what_is_no_time_is_shown_as_unknown(seconds: float) -> None:
    assert clock(seconds) == "?"
