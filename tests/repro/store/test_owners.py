"""Who holds a run is told by boot and ticks: neither a step of the clock nor a container's name deceives."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from repro.errors import UserError
from repro.store import lease, processes
from repro.store.folder import Folder
from repro.store.lease import Lease, Looker
from repro.store.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(Folder.open(tmp_path / "run"))


@pytest.fixture
def taken(run: RunFolder) -> Lease:
    """A lease of this very process, which beats no more."""
    made = Lease(run, "mine")
    assert made.take()
    made._stop.set()
    made._thread.join()
    return made


def living(run: RunFolder, **changed: object) -> bool:
    """Whether the holder of a lease like the newest, but for what is changed, is taken for alive at once and later."""
    held = lease.newest(run)
    assert held is not None
    said = {key: value for key, value in (held.said | {"silence": 1e-9} | changed).items() if value is not None}
    run.folder.write_json(held.name, said)
    looker = Looker()
    looker.is_taken(run, lease.newest(run))
    return looker.is_taken(run, lease.newest(run))


def test_a_step_of_the_clock_makes_no_living_owner_look_dead(run: RunFolder, taken: Lease) -> None:
    before = time.time() - 1e6  # the clock was set forward since: the process seems to have begun after its lease
    assert living(run, began=before)
    run.progress("running", step=1, total_steps=2)
    status = run.folder.read_json("status.json")
    run.folder.write_json("status.json", status | {"updated": before})
    assert processes.lives(run.status()["owner"], run.status()["updated"])


def test_a_number_that_another_process_has_now_is_no_holder(run: RunFolder, taken: Lease) -> None:
    assert not living(run, start="1")
    assert not living(run, start=processes.mine()["start"], pid=2**22 + 1)


@pytest.mark.parametrize("table", ["another boot pid:[1]", "", 7])
def test_a_container_of_the_same_name_is_another_host(table: object, run: RunFolder, taken: Lease) -> None:
    """Its process may have the number of one here, or of none: silence alone tells."""
    for pid in (os.getpid(), 2**22 + 1):
        held = lease.newest(run)
        assert held is not None
        run.folder.write_json(held.name, held.said | {"table": table, "pid": pid, "start": "1"})
        assert Looker().is_taken(run, lease.newest(run))
    assert not living(run, table=table)


def test_what_an_older_version_wrote_is_still_read(run: RunFolder, taken: Lease) -> None:
    assert living(run, table=None, start=None)
    assert not living(run, table=None, start=None, began=1.0)


@pytest.mark.parametrize("data", [b"", b"[1]", b'{"host": 1, "pid": -1}', b'{"pid": "x"}', b"[" * 10_000, b"\xff"])
def test_a_damaged_lease_is_one_of_a_holder_that_says_nothing(data: bytes, run: RunFolder) -> None:
    run.folder.write("lease-000003.json", data)
    looker = Looker()
    assert looker.is_taken(run, lease.newest(run))
    assert not Lease(run, "mine").take()
    mine = Lease(run, "mine", over="lease-000003.json")
    assert mine.take()
    assert mine.name == "lease-000004.json"
    mine.give_back()


def test_after_the_last_number_there_is_none(run: RunFolder) -> None:
    run.folder.write_json("lease-999999.json", {})
    with pytest.raises(UserError, match="no more lease numbers"):
        Lease(run, "mine", over="lease-999999.json").take()
