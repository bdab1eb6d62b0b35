"""Machines come and go under two sweeps of twelve runs in all; nothing is lost and no loss differs.

The machines are namespaces with addresses of their own, the storage an S3 endpoint outside of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from repro.storage import Folder
from tests.cluster.network import Network, network
from tests.cluster.nodes import ROOT, Cluster, free_port
from tests.cluster.storage import BUCKET, s3

RESULTS = f"s3://{BUCKET}/results"
PATIENCE = 600.0  # seconds until something that has to happen counts as not happening


@pytest.fixture
def machines() -> Iterator[tuple[Cluster, Network]]:
    """A head and two nodes more."""
    with network() as wires, s3(wires.outside, free_port()) as env:
        # The host's name leads to its loopback; gloo is told which interface the others are on.
        env = {name: value for name, value in env.items() if name != "AWS_ENDPOINT_URL"} | {"GLOO_SOCKET_IFNAME": "eth0"}
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


def states(*names: str) -> list[dict[str, Any]]:
    """The status of every run that has begun."""
    found = []
    for name in names:
        runs = Folder.open(f"{RESULTS}/{name}/runs")
        found += [(runs / run).read_json("status.json") for run in runs.names() if (runs / run).exists("status.json")]
    return found


def done(*names: str) -> int:
    return sum(status["state"] == "done" for status in states(*names))


def wait(found: Callable[[], Any], what: str) -> Any:
    """What `found` returns as soon as that is true."""
    deadline = time.time() + PATIENCE
    while time.time() < deadline:
        if result := found():
            return result
        time.sleep(0.2)
    raise AssertionError(f"in vain: {what}")


def at_work(name: str) -> psutil.Process | None:
    """The process of a run that has trained some steps."""
    for status in states(name):
        if status["state"] == "running" and status.get("step") and psutil.pid_exists(status["owner"]["pid"]):
            return psutil.Process(status["owner"]["pid"])
    return None


def of_a_node(cluster: Cluster, *names: str) -> str | None:
    """A node, not the head, on which a run is trained."""
    for process in filter(None, map(at_work, names)):
        above = {parent.pid for parent in process.parents()}
        for node, start in cluster.nodes.items():
            if node != "head" and start.pid in above:
                return node
    return None


def drivers(cluster: Cluster, name: str) -> list[psutil.Process]:
    every = psutil.Process(cluster.nodes["head"].pid).children(recursive=True)
    return [p for p in every if f"submitted/{name}.yaml" in p.cmdline()]


def losses(folder: Path) -> dict[str, list[float]]:
    return {row["run_id"]: row["loss_blocks"] for row in pq.read_table(folder / "runs.parquet").to_pylist()}


@pytest.mark.system
def test_a_sweep_outlives_a_worker_a_node_and_its_driver(
    machines: tuple[Cluster, Network], declare: Callable[..., Path], tmp_path: Path
) -> None:
    cluster, wires = machines
    law = "law: {{sizes: [4k], budgets: [short], sparsities: {}}}"
    sparsities = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    files = {
        "alone": declare("alone", ratio=20, studies=law.format(sparsities)),
        "pairs": declare("pairs", ratio=8, workers=2, studies=law.format([0, 0.4, 0.8])),
    }
    jobs = {name: submit(cluster, file) for name, file in files.items()}

    wait(lambda: done("alone"), "a first run is done")
    for name in jobs:
        wait(lambda name=name: at_work(name), f"a run of {name} is at work").send_signal(signal.SIGKILL)
    cluster.kill(wait(lambda: of_a_node(cluster, *jobs), "a run is at work away from the head"))
    cluster.add("newcomer", *wires.add())
    before = wait(lambda: done(*jobs) > 2 and done(*jobs), "two runs more are done")
    assert before < 12, "too late to disturb anything"
    for name in jobs:
        for process in drivers(cluster, name):
            process.kill()
    wait(lambda: not any(drivers(cluster, name) for name in jobs), "the drivers are gone")
    jobs = {name: submit(cluster, file) for name, file in files.items()}

    for name, job in jobs.items():
        followed = cluster.cli("logs", job, "--follow")
        assert followed.returncode == 0, followed.stdout + followed.stderr
        fetched = cluster.cli("fetch", job, "--to", str(tmp_path / "fetched" / name))
        assert fetched.returncode == 0, fetched.stderr
        words = ["run", str(files[name]), "--results", str(tmp_path / "undisturbed"), "--corpus", str(tmp_path / "data")]
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        subprocess.run([sys.executable, "-m", "sweeps", *words, "--lanes", "1"], cwd=ROOT, env=env, check=True)
        theirs, ours = losses(tmp_path / "fetched" / name), losses(tmp_path / "undisturbed" / name)
        assert theirs == ours
        assert len(ours) == {"alone": 9, "pairs": 3}[name]
