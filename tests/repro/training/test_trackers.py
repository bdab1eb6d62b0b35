"""A run's curve in TensorBoard, MLflow and Weights & Biases is the one in its table, once, whatever happened to the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow import fs

from repro import strict, tables
from repro.corpus import Corpus
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, RunFolder
from repro.training import tracker_backends, trackers, train
from repro.training.trainer import Trainer
from tests.repro.training.lives import stopped
from tests.repro.training.tracked import assert_shows, events, logged, shown

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]


@pytest.fixture(autouse=True)
def _nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "_failed", {})


def test_tensorboard_shows_the_curve_and_what_tells_the_run_from_others(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    plain, run = make_spec(dense_steps=16), Folder.open(tmp_path / "run")
    spec = replace(plain, evaluation=replace(plain.evaluation, every=8))
    train.train(spec, run, text, Resources())
    assert_shows(shown(run), logged(run))
    assert len(shown(run)["loss_eval"]) == spec.schedule.total_steps // 8 + 1
    first, *rest = events(run)
    assert first.file_version == "brain.Event:2"
    assert [v.tag for event in rest[:3] for v in event.summary.value] == [
        "_hparams_/experiment",
        "_hparams_/session_start_info",
        "_hparams_/session_end_info",
    ]
    times = [event.wall_time for event in rest]
    assert times == sorted(times)


def test_a_run_that_is_stopped_and_goes_on_shows_each_step_once(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    """Nothing that the checkpoint doesn't know is left when it goes on, and what was read before stays where it was."""
    spec, run, resources = make_spec(dense_steps=16), Folder.open(tmp_path / "run"), Resources(checkpoint_every=10)
    stopped(spec, run, text, resources, stop=17)
    assert max(shown(run)["lr"]) == 17
    stopped(spec, run, text, resources, stop=10)  # goes on from there, and stops at once
    assert max(shown(run)["lr"]) == 10
    [name] = (run / "tensorboard").names()
    before = (run / "tensorboard").read(name)
    train.train(spec, run, text, resources)
    assert (run / "tensorboard").read(name).startswith(before)
    assert_shows(shown(run), logged(run))


def test_on_an_object_store_too(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    spec, run = make_spec(dense_steps=16), Folder.open(tmp_path / "run")
    row = train.train(spec, run, text, Resources())
    tmp_path.joinpath("store", "tensorboard").mkdir(parents=True)  # a local file system has folders, a store hasn't
    store = Folder(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "store")
    assert not store.is_local
    with trackers.Trackers(spec, store, tables.read(run, "curve.parquet").to_pylist(), ()) as found:
        found.write()
        found.finish(row["loss"])
    assert_shows(shown(store), logged(run))
    assert store.names() == ["tensorboard"]


def test_a_failed_run_shows_its_last_steps(
    text: Corpus, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Trainer.step

    def fails(trainer: Trainer, step: int) -> None:
        if step == 12:
            raise RunFailed("planted")
        update(trainer, step)

    monkeypatch.setattr(Trainer, "step", fails)
    run = Folder.open(tmp_path / "run")
    with pytest.raises(RunFailed, match="planted"):
        train.train(make_spec(dense_steps=16), run, text, Resources(checkpoint_every=5))
    assert list(shown(run)["loss_train"]) == list(range(1, 13))


def test_a_tracker_that_fails_is_left_out_and_the_run_ends_well(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    run = Folder.open(tmp_path / "run")
    tmp_path.joinpath("run").mkdir()
    tmp_path.joinpath("run", "tensorboard").write_text("a file where its folder should be")
    with pytest.warns(UserWarning, match="tensorboard is left out") as caught:
        row = train.train(make_spec(dense_steps=16), run, text, Resources(checkpoint_every=10))
    assert len([w for w in caught if "left out" in str(w.message)]) == 1
    assert RunFolder(run).status()["state"] == "done"
    assert list(trackers.faults(run)) == ["tensorboard"]
    assert (
        row["loss"]
        == train.train(make_spec(dense_steps=16), Folder.open(tmp_path / "other"), text, Resources())["loss"]
    )
    assert trackers.faults(Folder.open(tmp_path / "other")) == {}


def test_trackers_are_told_all_that_the_plan_knows_of_a_run(make_spec: Make) -> None:
    spec = make_spec(do_not_prune=("q_proj", "k_proj"))
    told = tracker_backends.settings(spec)
    assert (told["lr"], told["lr_schedule"], told["do_not_prune"]) == (5e-3, "cosine", "q_proj+k_proj")
    assert {type(value) for value in told.values()} <= {str, int, float, bool}
    assert "start" not in tracker_backends.settings(make_spec(0))


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(UserError, match=r"resources\.trackers\[0\]") as error:
        strict.build(Resources, {"trackers": ["comet"]}, file="x.yaml", key="resources")
    assert "'mlflow', 'wandb'" in str(error.value)


def test_one_that_is_not_installed_is_refused() -> None:
    with pytest.raises(UserError, match="isn't installed") as error:
        trackers.require(["surely_not_installed"], "x.yaml")
    assert (error.value.file, error.value.key, error.value.found) == (
        "x.yaml",
        "resources.trackers",
        "surely_not_installed",
    )


@pytest.mark.parametrize(
    ("path", "name"), [("results/laptop/runs/a", "laptop"), ("/tmp/again", "tmp"), ("bucket/x/runs/a/", "x")]
)
def test_a_sweep_is_named_after_its_results_folder(path: str, name: str) -> None:
    assert tracker_backends.sweep_of(Folder(fs.LocalFileSystem(), path)) == name


@pytest.mark.parametrize(
    "data",
    [b"", b"[1]", b'{"mlflow": 7}', b'{"mlflow": {"failed": 1, "id": ["x"]}}', b'{"wandb": {"id": "../../../escape"}}', b"[" * 10**5],
)  # fmt: skip
def test_what_a_run_keeps_of_its_trackers_may_be_damaged_and_no_id_in_it_is_a_path(
    data: bytes, make_spec: Make, tmp_path: Path
) -> None:
    run = Folder.open(tmp_path)
    run.write(trackers.KEPT, data)
    assert trackers.faults(run) == {}
    assert not any(
        "id" in facts for facts in trackers.Trackers(make_spec(), run, [], ("mlflow", "wandb")).kept.values()
    )


def test_an_event_file_is_one_by_its_whole_name(make_spec: Make, tmp_path: Path) -> None:
    run = Folder.open(tmp_path)
    for name in ("events.out.tfevents.nan", "tfevents.1e999", "old-events.out.tfevents.5"):
        (run / "tensorboard").write(name, b"theirs")
    made = tracker_backends.TensorBoard(make_spec(), run, None)
    made.write([])
    assert tracker_backends.EVENTS.fullmatch(made.name)
    assert (run / "tensorboard").read("events.out.tfevents.nan") == b"theirs"
