"""TensorBoard's own reader, MLflow, and Weights & Biases: each holds the curve of a run's table, once."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repro.corpus import Corpus
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import trackers, train
from tests.repro.training.lives import stopped
from tests.repro.training.tracked import TAGS, TIMED, Curve, assert_shows, logged
from tests.stores import free_port

pytestmark = [pytest.mark.slow, pytest.mark.system]

Make = Callable[..., RunSpec]


@pytest.fixture(autouse=True)
def _nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "_failed", {})


def test_tensorboards_own_reader_sees_the_same(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = Folder.open(tmp_path / "run")
    train.train(make_spec(), run, text, Resources())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = EventAccumulator(f"{run}/tensorboard").Reload()
    assert set(read.Tags()["scalars"]) == TAGS
    assert_shows({tag: {e.step: e.value for e in read.Scalars(tag)} for tag in TAGS}, logged(run))
    assert read.summary_metadata["_hparams_/experiment"].plugin_data.plugin_name == "hparams"


def test_tensorboard_is_served_with_the_runs(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    train.train(make_spec(), Folder.open(tmp_path / "runs" / "run"), text, Resources())
    board, port = Path(sys.executable).with_name("tensorboard"), free_port()
    words = [str(board), "--logdir", str(tmp_path / "runs"), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        found: list[str] = []
        deadline = time.monotonic() + 120
        while not found and time.monotonic() < deadline:
            time.sleep(0.5)
            with contextlib.suppress(OSError):  # it isn't up yet
                found = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs"))
        assert found == ["run/tensorboard"]
    finally:
        process.terminate()
        process.wait(30)


def test_mlflow_shows_each_step_once(
    text: Corpus, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    spec, run = make_spec(), Folder.open(tmp_path / "sweep" / "runs" / "run")
    resources = Resources(checkpoint_every=10, trackers=("mlflow",))
    stopped(spec, run, text, resources, stop=17)
    train.train(spec, run, text, resources)
    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("sweep")
    assert experiment is not None
    [found] = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == (spec.run_id, "FINISHED")
    assert found.data.params["fingerprint"] == spec.fingerprint
    curve: Curve = {}
    for tag in TAGS:
        history = client.get_metric_history(found.info.run_id, tag)
        curve[tag] = {point.step: point.value for point in sorted(history, key=lambda p: p.step)}
        assert len(curve[tag]) == len(history), f"{tag} has a step twice"
    wanted = logged(run)
    wanted[TIMED] |= {step: value for step, value in curve[TIMED].items() if 10 < step <= 17}  # of the first life
    assert_shows(curve, wanted)


def wandb_records(data: bytes) -> Iterator[bytes]:
    """What W&B keeps of an offline run: seven bytes, then LevelDB's log of blocks of 32 KiB."""
    at, record = 7, b""
    while at < len(data):
        if (left := 2**15 - at % 2**15) < 7:
            at += left
            continue
        size, kind = struct.unpack("<HB", data[at + 4 : at + 7])
        record += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            yield record
            record = b""


def test_weights_and_biases_offline_holds_the_whole_curve(
    text: Corpus, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    spec, run = make_spec(), Folder.open(tmp_path / "sweep" / "runs" / "run")
    resources = Resources(checkpoint_every=10, trackers=("wandb",))
    stopped(spec, run, text, resources, stop=17)
    train.train(spec, run, text, resources)
    assert trackers.faults(run) == {}
    *_, last = sorted(tmp_path.glob("sweep/runs/run/wandb/offline-run-*/run-*.wandb"))
    from wandb.proto.wandb_internal_pb2 import Record

    curve: Curve = {}
    config: dict[str, object] = {}
    for data in wandb_records(last.read_bytes()):
        record = Record.FromString(data)
        found = {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
        for tag in TAGS & set(found):
            curve.setdefault(tag, {})[found["_step"]] = found[tag]
        config |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
    assert config["fingerprint"] == spec.fingerprint
    assert_shows(curve, logged(run))


def test_a_service_that_does_not_answer_costs_a_process_one_try(
    text: Corpus, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for i in range(2):
        run = Folder.open(tmp_path / str(i))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            train.train(make_spec(), run, text, Resources(trackers=("mlflow",)))
        assert RunFolder(run).status()["state"] == "done"
        assert list(trackers.faults(run)) == ["mlflow"]
        assert len([w for w in caught if "mlflow is left out" in str(w.message)]) == (i == 0)
