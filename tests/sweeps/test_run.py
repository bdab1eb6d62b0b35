"""The driver, with real Ray, real DeepSpeed and real kills."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray

from repro.__main__ import main
from repro.store.folder import Folder
from sweeps import results_folder, scaling
from sweeps.__main__ import main as sweeps_main
from sweeps.grid import expand
from tests.sweeps.tiny import IDS, declare, losses, run, start

pytestmark = [pytest.mark.slow, pytest.mark.long]

SPEED = 25_000.0  # tokens a second


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that was never disturbed, planned by a measured speed; one lane, since each costs seconds to start."""
    root = tmp_path_factory.mktemp("finished")
    speeds = root / "speeds.json"
    speeds.write_text(json.dumps({"tokens_per_second": {"cpu": {"4k": SPEED}}}))
    code, out = run(declare(root), "--lanes", "1", "--measured", str(speeds))
    assert code == 0, out
    return root


def copy(finished: Path, root: Path) -> Path:
    shutil.copytree(finished, root, dirs_exist_ok=True)
    return declare(root)


def test_a_sweep_trains_every_run_and_joins_the_tables(finished: Path) -> None:
    place = finished / "results" / "tiny"
    rows = {r["run_id"]: r for r in pq.read_table(place / "runs.parquet").to_pylist()}
    assert sorted(rows) == IDS
    assert set(rows[IDS[3]]["studies"]) == {"law", "schedules"}
    assert {r["sweep"] for r in rows.values()} == {"tiny"}
    assert set(pq.read_table(place / "curves.parquet")["run_id"].to_pylist()) == set(IDS)
    record = json.loads((place / "sweep.json").read_text())
    assert record["failed"] == []
    assert record["corpus"]["unused_ids"] > 100
    assert record["corpus"]["unused_share"]["4k"] > 0.1
    assert (record["share_prefix"], record["lr_schedules"]) == (False, ["cosine"])
    assert record["hardware"]["cores"] == os.cpu_count()


def test_it_is_planned_by_the_measured_speed_and_says_so_to_status(finished: Path) -> None:
    kept = json.loads((finished / "results" / "tiny" / "sweep.json").read_text())
    assert {one["run_id"] for one in kept["planned"]} == set(IDS)
    for one in kept["planned"]:
        heldout = 4 * 2 * 32 / 3
        assert one["seconds"] == pytest.approx(scaling.START_ALONE + (one["tokens"] + heldout) / SPEED)
    assert kept["promised"]["makespan_seconds"] == pytest.approx(sum(one["seconds"] for one in kept["planned"]))


def test_again_trains_nothing_and_never_wakes_ray(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = copy(finished, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "results" / "tiny" / "runs").rglob("*.parquet")}
    assert sweeps_main(["run", str(file)]) == 0
    assert "0 trained now" in capsys.readouterr().out
    assert not ray.is_initialized()
    assert {p: p.stat().st_mtime_ns for p in before} == before


@pytest.mark.full
def test_a_deleted_folder_is_trained_again_to_the_bit_and_no_other(finished: Path, tmp_path: Path) -> None:
    file = copy(finished, tmp_path)
    shutil.rmtree(tmp_path / "results" / "tiny" / "runs" / IDS[3])
    code, out = run(file)
    assert code == 0, out
    assert "1 trained now" in out
    assert losses(tmp_path) == losses(finished)


def test_only_the_run_that_is_asked_for_is_trained(finished: Path, tmp_path: Path) -> None:
    file = copy(finished, tmp_path)
    for run_id in (IDS[3], IDS[4]):
        shutil.rmtree(tmp_path / "results" / "tiny" / "runs" / run_id)
    code, out = run(file, "--only", IDS[3])
    assert code == 0, out
    assert "4 of 5 runs done, 1 trained now" in out
    assert "1 runs are not done, which weren't asked for" in out
    assert {run_id for run_id, loss in losses(finished).items() if losses(tmp_path).get(run_id) == loss} == set(IDS[:4])


def test_without_ray_the_same_spec_gives_the_same_loss_to_the_bit(finished: Path, tmp_path: Path) -> None:
    spec = finished / "results" / "tiny" / "runs" / IDS[3]
    again = tmp_path / "again"
    words = ["train", str(spec), "--out", str(again), "--corpus", str(finished / "data"), "--checkpoint-every", "20"]
    assert main(words) == 0
    [row] = pq.read_table(again / "run.parquet").to_pylist()
    assert row["loss_blocks"] == losses(finished)[IDS[3]]


@pytest.mark.full
def test_killing_a_worker_and_then_the_driver_loses_nothing(finished: Path, tmp_path: Path) -> None:
    file = declare(tmp_path)
    process = start(file)
    runs = tmp_path / "results" / "tiny" / "runs"
    killed, deadline = 0, time.time() + 120
    while not killed and time.time() < deadline:
        for status in runs.glob("*/status.json"):
            found = json.loads(status.read_text())
            if found["state"] == "running":
                killed = found["owner"]["pid"]
                os.kill(killed, signal.SIGKILL)
                break
        time.sleep(0.02)
    assert killed
    while not list(runs.glob("*/run.parquet")) and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not all((runs / i / "run.parquet").exists() for i in IDS), "killed too late to test anything"
    code, out = run(file)
    assert code == 0, out
    assert losses(tmp_path) == losses(finished)


def test_two_workers_train_the_same_runs(finished: Path, tmp_path: Path) -> None:
    root = copy(finished, tmp_path).parent
    file = declare(root, workers=2)
    shutil.rmtree(root / "results" / "tiny" / "runs" / IDS[3])
    code, out = run(file)
    assert code == 0, out
    mine, theirs = losses(root)[IDS[3]], losses(finished)[IDS[3]]
    assert mine == pytest.approx(theirs, abs=5e-3)
    [row] = pq.read_table(root / "results" / "tiny" / "runs" / IDS[3] / "run.parquet").to_pylist()
    assert row["workers"] == 2


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    """What the command says of a file that it refuses; nothing is written."""

    def ask(file: Path) -> str:
        before = sorted(p for p in file.parent.rglob("*") if p.is_file())
        assert sweeps_main(["run", str(file)]) == 2
        assert sorted(p for p in file.parent.rglob("*") if p.is_file()) == before, "something was written"
        return capsys.readouterr().err

    return ask


def test_a_results_folder_of_another_schema_version_is_refused(
    finished: Path, tmp_path: Path, refused: Callable[[Path], str]
) -> None:
    file = copy(finished, tmp_path)
    record = tmp_path / "results" / "tiny" / "sweep.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "schema_version": 99}))
    out = refused(file)
    assert "schema_version" in out
    assert "99" in out
    assert str(record) in out


def test_a_results_folder_of_schema_version_2_is_taken_up(tmp_path: Path) -> None:
    place = Folder.open(tmp_path / "results")
    place.write_json("sweep.json", {"schema_version": 2, "name": "tiny"})
    assert results_folder.check(place, expand(declare(tmp_path)))


def test_two_specs_with_one_id_are_refused_with_both_named(
    finished: Path, tmp_path: Path, refused: Callable[[Path], str]
) -> None:
    file = copy(finished, tmp_path)
    file.write_text(file.read_text().replace("lr: 1.0e-2", "lr: 2.0e-2"))
    out = refused(file)
    assert "two different specs with one id" in out
    assert "fingerprint" in out


def test_a_truncated_shard_is_refused(finished: Path, tmp_path: Path, refused: Callable[[Path], str]) -> None:
    file = copy(finished, tmp_path)
    [shard] = (tmp_path / "data").glob("*/train-*.arrow")
    shard.write_bytes(shard.read_bytes()[:-100])
    assert shard.name in refused(file)


def test_a_corpus_shorter_than_a_run_is_refused(finished: Path, tmp_path: Path, refused: Callable[[Path], str]) -> None:
    file = copy(finished, tmp_path)
    shutil.rmtree(tmp_path / "results")
    file.write_text(file.read_text().replace("short: 2}", "short: 2000}"))
    out = refused(file)
    assert "repeat" in out
    assert "more text than" in out


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweeps_main(["run", str(declare(tmp_path)), "--dry-run"]) == 0
    assert "5 of 5 runs to train" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.full
def test_twenty_runs_share_one_actor_that_leaks_nothing(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "data", tmp_path / "data")
    file = declare(tmp_path, ratio=4)
    text = file.read_text()
    seeds = "  seeds: {seeds: [%s], configurations: [{size: 4k, budget: short, sparsity: 0.8}]}\n"
    seeds = seeds % ", ".join(map(str, range(20)))
    start_, end_ = text.index("studies:\n") + len("studies:\n"), text.index("resources:")
    file.write_text(text[:start_] + seeds + text[end_:])
    process = start(file, "--lanes", "1")
    seen: dict[str, list[tuple[int, int]]] = {}
    while process.poll() is None:
        for status in (tmp_path / "results" / "tiny" / "runs").glob("*/status.json"):
            found = json.loads(status.read_text())
            proc = Path("/proc") / str(found["owner"]["pid"])
            with contextlib.suppress(FileNotFoundError):  # the actor may end while it is looked at
                counts = len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir()))
                if found["state"] == "running":
                    seen.setdefault(status.parent.name, []).append(counts)
        time.sleep(0.02)
    assert process.returncode == 0, process.stdout.read() if process.stdout else ""
    owners = {json.loads(p.read_text())["owner"]["pid"] for p in tmp_path.glob("results/tiny/runs/*/status.json")}
    assert len(owners) == 1
    assert len(seen) == 20
    # What a run holds most of its time; the first ones load what all the others use.
    settled = [statistics.mode(samples) for samples in list(seen.values())[2:]]
    assert len(set(settled)) == 1, settled


def test_other_text_under_the_same_results_is_refused(
    finished: Path, tmp_path: Path, refused: Callable[[Path], str]
) -> None:
    file = copy(finished, tmp_path)
    spec = tmp_path / "results" / "tiny" / "runs" / IDS[0] / "spec.json"
    spec.write_text(json.dumps({**json.loads(spec.read_text()), "corpus_hash": "0123456789ab"}))
    out = refused(file)
    assert "the text has changed" in out
    assert "0123456789ab" in out


def test_resources_that_do_not_fit_the_runs_are_refused(
    finished: Path, tmp_path: Path, refused: Callable[[Path], str]
) -> None:
    file = copy(finished, tmp_path)
    file.write_text(file.read_text().replace("workers: 1", "workers: 3"))
    assert "resources.workers" in refused(file)
