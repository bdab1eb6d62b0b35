"""Submission to a real Ray cluster of two nodes on one machine, with results on an S3 endpoint."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.tables import data
from cluster.__main__ import main as cluster_main
from repro.__main__ import main
from repro.store import transfer
from repro.store.folder import Folder
from tests.cluster.nodes import ROOT, Cluster
from tests.stores import BUCKET, SECRET, free_port, s3

pytestmark = [pytest.mark.slow, pytest.mark.long]

RESULTS = f"s3://{BUCKET}/results"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with s3() as env:
        # The endpoint goes along with a job; keys are the nodes' own.
        nodes = Cluster(env={name: value for name, value in env.items() if name != "AWS_ENDPOINT_URL"})
        try:
            nodes.add("second")
            yield nodes
        finally:
            nodes.close()


def submit(cluster: Cluster, file: Path, *words: str) -> dict:
    done = cluster.cli("submit", str(file), "--results", RESULTS, "--env", "AWS_ENDPOINT_URL", "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_sweep_goes_out_and_its_tables_come_back(
    cluster: Cluster, declare: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cluster.cli("wait", "--nodes", "2", RAY_ADDRESS=cluster.gcs, RAY_AUTH_MODE="token").returncode == 0
    file = declare("tiny")
    told = ("--dashboard", cluster.url, "--results", RESULTS, "--env", "AWS_ENDPOINT_URL", "--follow")
    done = cluster.cli("submit", str(file), *told)
    assert done.returncode == 0, done.stdout + done.stderr
    job = done.stdout.split(":")[0]
    assert "as in requirements.lock" in done.stdout
    assert "2 of 2 runs done, 2 trained now, 0 failed" in done.stdout
    assert f"python -m cluster stop {job}" in done.stdout
    assert cluster.cli("logs", job, "--follow").stdout in done.stdout

    here = tmp_path / "here"
    fetched = cluster.cli("fetch", job, "--out", str(here))
    assert fetched.returncode == 0, fetched.stderr
    assert f"python -m analysis report {here}" in fetched.stdout
    assert not list(here.rglob("*.safetensors"))
    rows = {row["run_id"]: row for row in data.load(Folder.open(here)).runs.rows()}
    assert sorted(rows) == ["4k-short-s00-seed0", "4k-short-s80-d25-p50-seed0"]
    assert json.loads((here / "sweep.json").read_text())["commit"] is not None
    assert all(SECRET.encode() not in path.read_bytes() for path in here.rglob("*") if path.is_file())

    again = tmp_path / "again"  # the same spec on one machine with no Ray
    spec, corpora = here / "runs" / "4k-short-s80-d25-p50-seed0" / "spec.json", tmp_path / "data"
    words = ["train", str(spec), "--out", str(again), "--corpus", str(corpora), "--checkpoint-every", "20"]
    assert main(words) == 0
    [row] = pq.read_table(again / "run.parquet").to_pylist()
    assert row["loss_blocks"] == list(rows[row["run_id"]]["loss_blocks"])

    def fetched_again(*words: str) -> str:
        capsys.readouterr()
        assert cluster_main(["fetch", f"{RESULTS}/tiny", "--out", str(here), *words]) == 0
        return capsys.readouterr().out

    assert " 0 files fetched" in fetched_again()
    (here / "runs.parquet").write_bytes(b"half of it")
    assert " 1 files fetched" in fetched_again()
    assert data.load(Folder.open(here)).runs["run_id"].tolist() == list(rows)
    fetched_again("--checkpoints")
    remote = {name: info.size for name, info in transfer.files(Folder.open(f"{RESULTS}/tiny"))}
    assert {name: info.size for name, info in transfer.files(Folder.open(here))} == remote
    assert any(name.endswith(".safetensors") for name in remote)


def test_text_is_built_by_a_cluster_that_is_named(
    cluster: Cluster, declare: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", cluster.token)
    file, built = str(declare("tiny")), {}
    for name, words in (("there", ["--address", cluster.gcs, "--workers", "2"]), ("here", [])):
        call = [sys.executable, "-m", "repro", "corpus", "build", file, "--corpus", str(tmp_path / name), *words]
        done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        built[name] = {path.relative_to(tmp_path / name): path.read_bytes() for path in tmp_path.rglob("*.arrow")
                       if path.is_relative_to(tmp_path / name)}  # fmt: skip
    assert built["here"]
    assert built["here"] == built["there"]


@pytest.mark.full
def test_a_sweep_is_shared_by_two_jobs_and_stops_with_its_checkpoint_saved(
    cluster: Cluster, declare: Callable[[str], Path]
) -> None:
    file = declare("longer")
    job = submit(cluster, file)
    status, deadline = Folder.open(f"{RESULTS}/longer/runs/4k-short-s00-seed0"), time.time() + 90
    while not (status.exists("status.json") and status.read_json("status.json").get("step")) and time.time() < deadline:
        time.sleep(0.3)
    twin = submit(cluster, file)
    assert twin["also_at_work"] == [job["id"]]
    for one in (twin, job):
        stopped = cluster.cli("stop", one["id"])
        assert stopped.returncode == 0, stopped.stderr
        assert "stopped" in stopped.stdout
    assert status.read_json("status.json")["state"] == "queued"
    assert (status / "checkpoint").names()
    assert "stopped with 1 runs left" in cluster.cli("logs", job["id"]).stdout


def test_what_the_cluster_refuses_is_said(cluster: Cluster, declare: Callable[[str], Path]) -> None:
    file = str(declare("tiny"))
    for words, env, expected in (
        (["submit", file], {}, "storage.results"),
        (["submit", file, "--results", "here"], {}, "--results"),
        (["submit", file, "--results", RESULTS, "--env", "NO_SUCH"], {}, "NO_SUCH"),
        (["logs", "nobody"], {}, "no such job"),
        (["fetch", "nobody"], {}, "no such job"),
        (["fetch", f"{RESULTS}/nobody"], {}, "no sweep's results"),
        (["logs", "nobody"], {"RAY_AUTH_TOKEN": "0" * 64}, "refuses this client"),
        (["logs", "nobody"], {"RAY_AUTH_MODE": "disabled"}, "refuses this client"),
        (["logs", "nobody", "--dashboard", f"http://127.0.0.1:{free_port()}"], {}, "no Ray job server answers"),
        (["logs", "nobody", "--dashboard", "ray://head:10001"], {}, "not the address of a dashboard"),
    ):
        done = cluster.cli(*words, **env)
        assert done.returncode == 2, done.stdout + done.stderr
        assert expected in done.stderr


def test_a_path_is_doubted_on_several_nodes(cluster: Cluster, declare: Callable[[str], Path], tmp_path: Path) -> None:
    done = cluster.cli("submit", str(declare("tiny")), "--results", str(tmp_path / "results"))
    assert "all 2 nodes" in done.stderr
    assert cluster.cli("stop", done.stdout.split(":")[0]).returncode == 0
