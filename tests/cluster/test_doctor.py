"""The doctor names faults that are planted for real: limits, mounts, clocks, packages, ports, networks."""

from __future__ import annotations

import json
import os
import resource
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import pytest
import ray

from cluster import checks, remote_checks
from cluster.doctor import examine
from tests import plain
from tests.repro.training.failing import tmpfs

pytestmark = [pytest.mark.slow, pytest.mark.long]

ROOT = Path(__file__).parents[2]

SWEEP = """
name: tiny
corpus: {{source: package, name: {text}, heldout_fraction: 0.1}}
model: {{vocab: 300, sequence: 32}}
optimizer: {{batch: 4}}
sizes: {{4k: {{d_model: 8, layers: 1, heads: 1, mlp: 32, lr: 1.0e-2}}, 50b: {{d_model: 8192, layers: 64, heads: 64, mlp: 22016, lr: 1.0e-4}}}}
budgets: {{short: 2, none: 1.0e-6}}
pruning: {{interval: 4}}
repeat: true
evaluation: {{blocks: 4, block_sequences: 2}}
studies:
  dense: {{sizes: [{size}], budgets: {{{budget}}}}}
resources: {{device: cpu, {resources}}}
storage: {{corpus: {corpus}, results: {results}}}
"""

# Python imports this at its start: the clock of Ray's workers, and of nothing else, is 90 s fast.
FAST_CLOCK = """
import sys, time
if any(word.endswith("default_worker.py") for word in sys.orig_argv):
    right = time.time
    time.time = lambda: right() + 90
"""

Found = dict[str, list[dict[str, str]]]


def declare(
    root: Path, *, text: str = "pydoc", size: str = "4k", resources: str = "workers: 1", corpus: Path | None = None
) -> Path:
    file = root / "tiny.yaml"
    budget = "short: 2" if size == "4k" else "none: 1.0e-6"
    places = {"corpus": corpus or root / "data", "results": root / "results"}
    file.write_text(SWEEP.format(text=text, size=size, budget=budget, resources=resources, **places))
    return file


def doctor(
    *words: object, before: Callable[[], None] | None = None, environment: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, Found]:
    """The exit code and the findings, by check."""
    done = subprocess.run(
        [sys.executable, "-m", "cluster", "doctor", "--json", *map(str, words)],
        cwd=ROOT,
        env={**plain.environment(), **environment},
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.stdout.startswith("{"), done.stderr
    report = json.loads(done.stdout)
    found: Found = {}
    for finding in report["findings"]:
        assert finding["level"] == "ok" or finding["advice"], f"no advice: {finding}"
        found.setdefault(finding["check"], []).append(finding)
    assert report["faults"] == sum(f["level"] == "fault" for of in found.values() for f in of)
    return done.returncode, found


def faults(found: Found) -> dict[str, str]:
    """What is a fault, by check."""
    every = {check: " | ".join(f["found"] for f in of if f["level"] == "fault") for check, of in found.items()}
    return {check: text for check, text in every.items() if text}


def test_a_sound_machine_has_no_fault_and_keeps_nothing(tmp_path: Path) -> None:
    file = declare(tmp_path)
    code, found = doctor(file)
    assert (code, faults(found)) == (0, {})
    asked = "sweep ports cluster versions gpu compiler memory disk clock tokens results corpus all-reduce"
    assert set(found) == {*asked.split(), "open files"}
    assert list(tmp_path.iterdir()) == [file]


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Found]]:
    """An environment with faults of many kinds, each of which another check is to name."""
    root = tmp_path_factory.mktemp("ill")
    site = root / "site"
    (site / "deepspeed-0.0.1.dist-info").mkdir(parents=True)
    (site / "deepspeed-0.0.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: deepspeed\nVersion: 0.0.1\n"
    )
    (site / "sitecustomize.py").write_text(FAST_CLOCK)
    (root / "bin").mkdir()
    with tmpfs(root / "small", 4) as small, tmpfs(root / "fixed", 4) as fixed, socket.socket() as listener:
        subprocess.run(["mount", "-o", "remount,ro", str(fixed)], check=True)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # someone else has it already, which is as good
            listener.bind(("0.0.0.0", 6379))
            listener.listen()
        yield doctor(
            declare(root, resources="compile: true", corpus=small),
            "--results",
            fixed,
            before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048)),
            environment={
                "PYTHONPATH": str(site),
                "PATH": str(root / "bin"),
                "RAY_AUTH_MODE": "disabled",
                "GLOO_SOCKET_IFNAME": "nosuch0",
            },
        )


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("versions", "deepspeed 0.0.1 (pinned: "),
        ("open files", "at most 2048 on node 0"),
        ("clock", "s ahead of the driver"),
        ("compiler", "none on node 0"),
        ("results", "Read-only file system"),
        ("disk", "at least 1 needed"),
        ("all-reduce", "gloo over node 0"),
    ],
)
def test_an_ill_environment_has_each_of_its_faults_named(ill: tuple[int, Found], check: str, said: str) -> None:
    code, found = ill
    assert code == 1
    assert said in faults(found)[check]


def test_a_taken_port_that_others_reach_is_a_warning(ill: tuple[int, Found]) -> None:
    _, found = ill
    assert any(f["level"] == "warning" and f["found"].startswith("port 6379 (GCS)") for f in found["ports"])


def test_an_ill_environment_has_no_other_fault(ill: tuple[int, Found]) -> None:
    _, found = ill
    named = {"versions", "open files", "clock", "compiler", "results", "disk", "all-reduce"}
    assert set(faults(found)) == named


def test_a_local_ray_has_its_token_whatever_the_environment_says_and_a_cluster_without_one_is_a_fault(
    ill: tuple[int, Found],
) -> None:
    _, found = ill
    assert [f["level"] for f in found["tokens"]] == ["ok"]
    [said] = checks.tokens({"driver": {"tokens": False}, "node 0": {"tokens": False}, "node 1": {"tokens": True}})
    assert said.level == "fault"
    assert "authentication is off on driver, node 0" in said.found


@pytest.mark.full
def test_too_little_memory_too_little_disk_and_no_source_of_the_text(tmp_path: Path) -> None:
    file = declare(tmp_path, text="nosuch", size="50b", resources="workers: 2")
    code, found = doctor(file)
    assert code == 1
    assert set(faults(found)) == {"memory", "disk", "corpus"}
    assert "2 workers at once of 50b needed" in faults(found)["memory"]
    assert "GB free at" in faults(found)["disk"]
    assert "nosuch" in faults(found)["corpus"]


@pytest.mark.full
def test_a_batch_that_does_not_divide(tmp_path: Path) -> None:
    code, found = doctor(declare(tmp_path, resources="workers: 3"))
    assert code == 1
    assert set(faults(found)) == {"sweep"}
    assert "doesn't divide over the workers" in faults(found)["sweep"]


@pytest.mark.full
def test_a_node_that_answers_nothing_in_time_is_a_fault_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_checks, "PATIENCE", 0.0)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    try:
        found = [*examine(str(declare(tmp_path)), None)]
    finally:
        ray.shutdown()
    [silent] = [finding for finding in found if finding.level == "fault"]
    assert silent.check == "cluster"
    assert "runs no task: GetTimeoutError" in silent.found


def test_an_address_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    [fault] = [finding for finding in examine(None, None) if finding.level == "fault"]
    assert fault.check == "cluster"
    assert "nothing listens there; key: RAY_ADDRESS; found: 127.0.0.1:1" in fault.found


@pytest.fixture
def two_nodes(tmp_path: Path) -> Iterator[tuple[str, Path, dict[str, str]]]:
    """Two raylets, one of which has a file system of its own where the other has the shared folder."""
    shared = tmp_path / "shared"
    shared.mkdir()
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(16))
    token.chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    ray = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    head = [*ray, "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir=/tmp/ray-{port}"]
    apart = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0" && exec "$@"', str(shared)]
    env = plain.environment() | environment
    running = []
    try:
        for count, command in enumerate((head, [*apart, *ray, f"--address=127.0.0.1:{port}"]), 1):
            running.append(
                subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            waiting = [sys.executable, "-m", "cluster", "wait", "--nodes", str(count), "--timeout", "120"]
            done = subprocess.run(
                waiting, cwd=ROOT, env=env | {"RAY_ADDRESS": f"127.0.0.1:{port}"}, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
        yield f"127.0.0.1:{port}", shared, environment
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(60)
        subprocess.run(["rm", "-rf", f"/tmp/ray-{port}"], check=True)


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_storage_that_the_nodes_do_not_share(two_nodes: tuple[str, Path, dict[str, str]], tmp_path: Path) -> None:
    address, shared, environment = two_nodes
    code, found = doctor("--address", address, "--results", shared / "results", environment=environment)
    assert code == 1
    assert set(faults(found)) == {"results"}
    assert "doesn't see at" in faults(found)["results"]
    assert list(shared.iterdir()) == []
    code, found = doctor("--address", address, "--results", tmp_path / "elsewhere", environment=environment)
    assert (code, faults(found)) == (0, {})
    assert "2 nodes answer" in found["cluster"][0]["found"]
    assert all(node in found["all-reduce"][0]["found"] for node in ("node 0", "node 1"))
    assert not (tmp_path / "elsewhere").exists()
