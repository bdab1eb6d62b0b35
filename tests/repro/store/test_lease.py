"""Leases: one holder at a time, dead ones are passed over, a holder that was passed over ends. Local disk and S3."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from repro.errors import UserError
from repro.store import lease, scratch
from repro.store.folder import Folder
from repro.store.lease import Lease, Looker
from repro.store.run_folder import RunFolder

HOLD = """
import sys, time
from repro.store import lease
from repro.store.run_folder import RunFolder
from repro.store.folder import Folder
lease.DISK = lease.NETWORK = lease.Rhythm(beat=.2, silence=180.)
held = lease.Lease(RunFolder(Folder.open(sys.argv[1])), "theirs")
print(held.take(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def run(store: str) -> RunFolder:
    return RunFolder(Folder.open(f"{store}/run"))


@pytest.fixture
def holder(run: RunFolder, store: str) -> Iterator[subprocess.Popen]:
    """Another process, which holds the lease."""
    with subprocess.Popen([sys.executable, "-c", HOLD, f"{store}/run"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def leases(run: RunFolder) -> list[str]:
    return [name for name in run.folder.names() if name.startswith("lease")]


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.full)])
def test_of_many_at_one_moment_one_gets_it(run: RunFolder, times: int) -> None:
    for _ in range(times):
        several = [Lease(run, str(i)) for i in range(8)]
        with ThreadPoolExecutor(8) as pool:
            took = list(pool.map(Lease.take, several))
        assert sum(took) == 1
        several[took.index(True)].give_back()
        assert leases(run) == []


@pytest.mark.slow
def test_a_living_holder_keeps_it_and_a_dead_one_is_passed_over(run: RunFolder, holder: subprocess.Popen) -> None:
    assert Looker().is_taken(run, lease.newest(run))
    assert not Lease(run, "mine").take()
    holder.kill()
    holder.wait()
    assert not Looker().is_taken(run, lease.newest(run))
    mine = Lease(run, "mine")
    assert mine.take()
    assert leases(run) == ["lease-000001.json", "lease-000002.json"]
    mine.give_back()
    assert leases(run) == []


@pytest.mark.slow
def test_a_holder_that_was_passed_over_ends_at_once(run: RunFolder, holder: subprocess.Popen) -> None:
    holder.send_signal(signal.SIGSTOP)  # it doesn't answer, though it lives
    mine = Lease(run, "mine", over="lease-000001.json")
    assert mine.take()
    holder.send_signal(signal.SIGCONT)
    assert holder.wait(timeout=60) == -signal.SIGKILL
    newest = lease.newest(run)
    assert newest is not None
    assert newest.name == "lease-000002.json"
    mine.give_back()


def test_on_another_host_the_dead_show_by_not_changing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))
    said = {"driver": "theirs", "host": "elsewhere", "pid": os.getpid(), "began": 0.0, "beats": 1, "silence": 40.0}
    assert run.folder.create("lease-000007.json", json.dumps(said).encode())
    looker = Looker()
    assert looker.is_taken(run, lease.newest(run))
    now += 40
    run.folder.write_json("lease-000007.json", said | {"beats": 2})
    assert looker.is_taken(run, lease.newest(run))
    now += 39
    assert looker.is_taken(run, lease.newest(run))
    now += 1
    assert not looker.is_taken(run, lease.newest(run))
    assert not Lease(run, "mine").take(), "one who has just come can't know"
    mine = Lease(run, "mine", over="lease-000007.json")
    assert mine.take()
    assert mine.name == "lease-000008.json"
    mine.give_back()


@pytest.mark.slow
def test_a_worker_that_outlives_its_lease_still_has_the_run(run: RunFolder, holder: subprocess.Popen) -> None:
    run.progress("running", step=1, total_steps=2)  # of this very process
    holder.kill()
    holder.wait()
    assert Looker().is_taken(run, lease.newest(run))
    run.progress("queued")
    assert not Looker().is_taken(run, lease.newest(run))


def test_a_store_without_a_conditional_put_is_refused() -> None:
    from pyarrow import fs

    store = fs.SubTreeFileSystem("/tmp", fs.LocalFileSystem())
    with pytest.raises(UserError, match="conditional PUT"):
        Folder(store, "bucket/run").create("lease", b"")


def test_what_a_killed_writer_leaves_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    write = "import sys, repro.store.scratch as s; open(f'{sys.argv[1]}/status.json.{s.writer()}.tmp', 'w').close()"
    subprocess.run([sys.executable, "-c", write, str(tmp_path)], check=True)
    mine = tmp_path / f"status.json.{scratch.writer()}.tmp"
    mine.touch()
    no_process = tmp_path / f"status.json.{socket.gethostname()}-{10**20}-0123abcd.tmp"
    no_process.touch()
    assert len(list(tmp_path.iterdir())) == 3
    Folder.open(tmp_path).tidy()
    assert set(tmp_path.iterdir()) == {mine, no_process}
