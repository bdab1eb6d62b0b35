"""Machines come and go under a sweep of twelve runs; nothing is lost and no loss differs.

The machines are namespaces with addresses of their own, the storage an S3 endpoint outside of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from repro.store.folder import Folder
from tests import plain
from tests.cluster.network import Network, network
from tests.cluster.nodes import ROOT, Cluster
from tests.stores import BUCKET, s3

RESULTS = f"s3://{BUCKET}/results"
RUNS = 12
PATIENCE = 600.0  # seconds until something that has to happen counts as not happening


@pytest.fixture
def machines() -> Iterator[tuple[Cluster, Network]]:
    """A head and two nodes more."""
    with network() as wires, s3(wires.outside) as env:
        # The host's name leads to its loopback; gloo is told which interface the others are on.
        env = {name: value for name, value in env.items() if name != "AWS_ENDPOINT_URL"} | {
            "GLOO_SOCKET_IFNAME": "eth0"
        }
        cluster = Cluster(*wires.add(), env, cpus=2)
        try:
            for name in ("second", "third"):
                cluster.add(name, *wires.add())
            yield cluster, wires
        finally:
            cluster.close()


def submit(cluster: Cluster, file: Path) -> str:
    done = cluster.cli("submit", str(file), "--results", RESULTS, "--env", "AWS_ENDPOINT_URL", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["id"]


def states() -> dict[str, dict[str, Any]]:
    """Run id -> status, of every run that has begun."""
    runs = Folder.open(f"{RESULTS}/twelve/runs")
    return {run: (runs / run).read_json("status.json") for run in runs.names() if (runs / run).exists("status.json")}


def done() -> int:
    return sum(status["state"] == "done" for status in states().values())


def wait(found: Callable[[], Any], what: str) -> Any:
    """What `found` returns as soon as that is true."""
    deadline = time.time() + PATIENCE
    while time.time() < deadline:
        if result := found():
            return result
        time.sleep(0.2)
    raise AssertionError(f"in vain: {what}")


def at_work(cluster: Cluster, *sizes: str, away: bool = False) -> tuple[int, str] | None:
    """Process and node of a run of these sizes that has trained some steps; `away`, of one that isn't on the head."""
    assert done() < RUNS, "too late to disturb anything"
    for run, status in states().items():
        if run.startswith(sizes) and status["state"] == "running" and status["step"]:
            node = cluster.node_of(status["owner"]["pid"])
            if node is not None and not (away and node == "head"):
                return status["owner"]["pid"], node
    return None


def drivers(cluster: Cluster) -> list[psutil.Process]:
    """Living processes of the head that drive the sweep."""
    found = []
    for process in psutil.Process(cluster.nodes["head"].pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it, or a zombie
            found += [process] if "submitted/twelve.yaml" in process.cmdline() else []
    return found


def losses(folder: Path) -> dict[str, list[float]]:
    return {row["run_id"]: row["loss_blocks"] for row in pq.read_table(folder / "runs.parquet").to_pylist()}


@pytest.mark.system
def test_a_sweep_outlives_a_worker_a_node_and_its_driver(
    machines: tuple[Cluster, Network], declare: Callable[[str], Path], tmp_path: Path
) -> None:
    cluster, wires = machines
    file = declare("twelve")
    submit(cluster, file)

    wait(done, "a first run is done")
    for size in ("4k", "6k"):
        pid, _ = wait(partial(at_work, cluster, size), f"a run of size {size} is at work")
        os.kill(pid, signal.SIGKILL)
    _, node = wait(lambda: at_work(cluster, "4k", "6k", away=True), "a run is at work away from the head")
    cluster.kill(node)
    cluster.add("newcomer", *wires.add())
    before = done()
    wait(lambda: done() > before, "one run more is done")
    assert done() < RUNS, "too late to disturb anything"
    killed = drivers(cluster)
    assert killed
    for process in killed:
        process.kill()
    wait(lambda: not drivers(cluster), "the driver is gone")
    job = submit(cluster, file)

    followed = cluster.cli("logs", job, "--follow")
    assert followed.returncode == 0, followed.stdout + followed.stderr
    fetched = cluster.cli("fetch", job, "--out", str(tmp_path / "fetched"))
    assert fetched.returncode == 0, fetched.stderr
    words = ["run", str(file), "--results", str(tmp_path / "undisturbed"), "--corpus", str(tmp_path / "data")]
    subprocess.run(
        [sys.executable, "-m", "sweeps", *words, "--lanes", "1"], cwd=ROOT, env=plain.environment(), check=True
    )
    ours, theirs = losses(tmp_path / "fetched"), losses(tmp_path / "undisturbed" / "twelve")
    assert len(ours) == RUNS
    assert ours == theirs
