"""The rendered script on a real Slurm of one machine. `make test-system` installs slurmctld, slurmd and munge."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cluster.__main__ import main
from tests.sweeps.tiny import IDS, declare

NEEDED = ("slurmctld", "slurmd", "sbatch", "munged")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDED)) or os.geteuid() != 0, reason="no Slurm here; make test-system installs it"
    ),
]

CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket,cred_expire=2
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
CORES = 2
PATIENCE = 600  # seconds, after which something is wrong; never asserted of anything that ends


def slurm(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def state(job: str) -> str:
    return slurm("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        found = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Slurm of this machine whose every file lies under the returned folder; its commands find it by SLURM_CONF."""
    root = tmp_path_factory.mktemp("slurm")
    for folder in ("state", "spool"):
        (root / folder).mkdir()
    (root / "key").write_bytes(secrets.token_bytes(128))
    (root / "key").chmod(0o400)
    host = slurm("hostname", "-s")
    configuration = root / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(root=root, host=host, ports=free_ports(2), cores=CORES))
    munged = ["munged", "--foreground", "--force", f"--key-file={root}/key", f"--socket={root}/munge.socket"]
    munged += [f"--{name}-file={root}/munge.{name}" for name in ("pid", "log", "seed")]
    commands = [munged, ["slurmctld", "-D", "-f", str(configuration)], ["slurmd", "-D", "-f", str(configuration)]]
    running: list[subprocess.Popen] = []
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLURM_CONF", str(configuration))
        try:
            for command in commands:
                running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                time.sleep(1)
            until(
                lambda: subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout == "idle\n",
                "the node never comes up",
            )
            yield root
        finally:
            subprocess.run(["scancel", "--user=root"], check=False)
            for process in reversed(running):
                process.terminate()
            for process in running:
                process.wait(30)


def submit(root: Path, file: Path, *words: str) -> tuple[str, Path]:
    """Renders and submits; returns the job's id and what it prints to."""
    script = root / "tiny.sbatch"
    words = ("--cpus", str(CORES), "--hours", "1", "--manifest", str(script), *words)
    assert main(["render", "slurm", str(file), *words]) == 0
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sbatch", "--parsable", str(script)],
        cwd=root,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    job = done.stdout.strip()
    return job, root / f"tiny-{job}.out"


def finished(job: str, out: Path) -> str:
    until(lambda: state(job) not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"), f"the job doesn't end: {out}")
    assert state(job) == "COMPLETED", out.read_text()
    return out.read_text()


def test_the_rendered_script_trains_a_sweep_to_its_tables_and_leaves_nothing(machine: Path, tmp_path: Path) -> None:
    job, out = submit(tmp_path, declare(tmp_path))
    text = finished(job, out)
    assert f"{len(IDS)} of {len(IDS)} runs done" in text
    assert sorted(pq.read_table(tmp_path / "results" / "tiny" / "runs.parquet")["run_id"].to_pylist()) == IDS
    until(lambda: not processes_of(job), "processes of the job are left")
    assert not list(Path("/tmp").glob(f"ray-{job}-*"))
    assert not list((Path(__file__).parents[2] / "results").glob(f".slurm-{job}-*"))


def test_a_job_told_to_leave_stops_comes_back_and_goes_on(machine: Path, tmp_path: Path) -> None:
    job, out = submit(tmp_path, declare(tmp_path, ratio=10))
    done = lambda: list((tmp_path / "results" / "tiny" / "runs").glob("*/run.parquet"))  # noqa: E731
    until(done, "no run is trained")
    slurm("scancel", "--batch", "--signal=TERM", job)  # as Slurm does ahead of the time limit
    until(lambda: state(job) == "PENDING", f"it isn't requeued: {out}")
    before = {path: path.stat().st_mtime_ns for path in done()}
    assert len(before) < len(IDS), "told too late to test anything"
    text = finished(job, out)
    assert f"{len(IDS)} of {len(IDS)} runs done" in text
    assert {path: path.stat().st_mtime_ns for path in before} == before, "a finished run was trained again"


def processes_of(job: str) -> list[str]:
    """Command lines that name the job's own Ray."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if f"/tmp/ray-{job}-" in line]
