"""Signals to this very process: a closed terminal is a request to stop, and under nohup it is none."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from repro.console.signals import SIGNALS, Heeded


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN and signal.signal(
        signal.SIGHUP, signal.SIG_DFL
    )  # nohup
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in SIGNALS} == handlers
    if ignored:
        signal.signal(signal.SIGHUP, ignored)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_first_one_asks(number: int, capfd: pytest.CaptureFixture[str]) -> None:
    with Heeded("stopping") as heeded:
        assert not heeded.asked()
        os.kill(os.getpid(), number)
        assert heeded.asked()
    assert "stopping" in capfd.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_one_ends_it_now(number: int) -> None:
    with Heeded("stopping"):
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)


def test_a_closed_terminal_may_say_so_twice() -> None:
    with Heeded("stopping") as heeded:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        assert heeded.asked()


def test_under_nohup_it_is_ignored_still() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Heeded("stopping") as heeded:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not heeded.asked()
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_is_pickled_whatever_handled_signals_before() -> None:
    lock = threading.Lock()  # can't be pickled, as an actor of a cluster that is gone can't
    before = signal.signal(signal.SIGINT, lambda *_: lock.release())
    try:
        with Heeded("stopping") as heeded:
            assert not pickle.loads(pickle.dumps(heeded)).asked()
    finally:
        signal.signal(signal.SIGINT, before)


PRINTS = """
import os, sys, time
from repro.console.signals import Heeded
with Heeded("stopping") as heeded:
    print("ready", flush=True)
    while not heeded.asked():
        time.sleep(.02)
    print("saved", flush=True)
    open(sys.argv[1], "w").write("saved")
"""


def test_what_is_printed_once_the_terminal_is_gone_ends_nothing(tmp_path: os.PathLike[str]) -> None:
    ours, theirs = os.openpty()
    file = os.path.join(tmp_path, "saved")
    with open(errors := os.path.join(tmp_path, "errors"), "w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n{PRINTS}", file],
            stdin=theirs, stdout=theirs, stderr=stderr, start_new_session=True,
        )  # fmt: skip
    os.close(theirs)
    said = b""
    while not said.endswith(b"\n"):  # or closing it would cut off the rest of the line
        said += os.read(ours, 100)
    os.close(ours)  # the kernel hangs the terminal up, and whoever writes to it fails
    with open(errors) as said_in_errors:
        assert process.wait(timeout=60) == 0, said_in_errors.read()
    assert os.path.exists(file)
