"""A store that fails for a while is waited for: real requests to a server that is shut off, and is back later."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from repro.store import outage
from repro.store.folder import Folder
from repro.store.outage import may_pass
from tests.stores import BUCKET, Store, serving

pytestmark = pytest.mark.slow

GIVEN_UP = 7.0  # seconds after which pyarrow's own attempts are over

HOLD = """
import sys, time
from repro.store import lease
from repro.store.run_folder import RunFolder
from repro.store.folder import Folder
lease.NETWORK = lease.Rhythm(beat=.2, silence=float(sys.argv[2]))
held = lease.Lease(RunFolder(Folder.open(sys.argv[1])), "theirs")
print(held.take(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def store() -> Iterator[Store]:
    with serving() as (made, _):
        yield made


def test_whatever_is_done_with_a_folder_waits_until_its_store_answers_again(store: Store) -> None:
    folder = Folder.open(f"s3://{BUCKET}/run")
    folder.write_json("a.json", {"a": 1})
    folder.write("b", b"b")
    done: dict[Callable[[], Any], Any] = {
        lambda: folder.read("b"): b"b",
        lambda: folder.read_json("a.json"): {"a": 1},
        lambda: folder.write("c", b"c"): None,
        lambda: folder.exists("b"): True,
        lambda: (folder / "none").names(): [],
        lambda: folder.create("d", b"d"): True,
        lambda: folder.delete("b/none"): None,
        lambda: str(Folder.reopen(f"s3://{BUCKET}/run")): f"{BUCKET}/run",
    }
    with ThreadPoolExecutor(len(done)) as pool:
        with store.outage(GIVEN_UP + 1):
            asked = [pool.submit(act) for act in done]
            time.sleep(GIVEN_UP)
            assert not any(one.done() for one in asked[:-1])
        assert [one.result(60) for one in asked] == list(done.values())
    assert folder.names() == ["a.json", "b", "c", "d"]


def test_one_that_stays_away_is_given_up_and_what_cannot_pass_is_said_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "PATIENCE", 0.1)
    with store.outage(0), pytest.raises(OSError, match="NETWORK_CONNECTION"):
        Folder.open(f"s3://{BUCKET}/run").write("c", b"c")
    monkeypatch.setattr(outage, "PATIENCE", 3600.0)
    with pytest.raises(OSError, match="NO_SUCH_BUCKET"):
        Folder.open("s3://no-such-bucket/run").write("c", b"c")
    with pytest.raises(FileNotFoundError):
        Folder.open(f"s3://{BUCKET}/run").read("c")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError("AWS Error SLOW_DOWN during PutObject operation"), True),
        (OSError("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation: No response body."), True),
        (OSError("AWS Error ACCESS_DENIED during PutObject operation"), False),
        (OSError("google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"), True),
        (TimeoutError("no answer within 30 s"), True),
        (OSError(errno.ESTALE, os.strerror(errno.ESTALE)), True),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), False),
        (FileNotFoundError("no such file"), False),
    ],
)
def test_what_may_pass_is_told_from_what_cannot(error: OSError, passes: bool) -> None:
    assert may_pass(error) == passes


def test_who_creates_a_file_knows_it_though_the_answer_is_lost(store: Store) -> None:
    folder = Folder.open(f"s3://{BUCKET}/run")
    store.lost = 1
    assert folder.create("lease", b"mine")
    assert store.lost == 0
    assert not folder.create("lease", b"theirs")
    assert folder.read("lease") == b"mine"


@pytest.mark.parametrize(("silence", "survives"), [(60.0, True), (8.0, False)])
def test_the_holder_of_a_lease_outlives_an_outage_of_less_than_half_its_silence(
    silence: float, survives: bool, store: Store
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, f"s3://{BUCKET}/run", str(silence)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        try:
            with store.outage(GIVEN_UP):
                if not survives:
                    assert holder.wait(timeout=60) == -signal.SIGKILL
            before = Folder.open(f"s3://{BUCKET}/run").read_json("lease-000001.json")["beats"]
            end = time.monotonic() + 60
            while survives and Folder.open(f"s3://{BUCKET}/run").read_json("lease-000001.json")["beats"] <= before:
                assert holder.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
        finally:
            holder.kill()
