"""One run, really trained: its tables keep the schedule's promise."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repro.__main__ import main
from repro.corpus import Corpus
from repro.errors import UserError
from repro.resources import Resources
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFailed, RunFolder
from repro.training import train
from tests.repro.training.lives import rows

pytestmark = pytest.mark.slow

Make = Callable[..., RunSpec]


def test_a_run_leaves_what_its_schedule_promised(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    spec, folder = make_spec(), Folder.open(tmp_path / "run")
    train.train(spec, folder, text, Resources())
    [row] = rows(folder, "run.parquet")
    size = spec.model.shape.prunable
    assert row["N_avg"] == spec.schedule.n_avg(size)
    assert row["N_final"] == spec.schedule.n_final(size)
    assert row["D"] == spec.tokens
    assert row["effective_flops"] == 6 * spec.tokens_per_step * spec.schedule.weight_steps(size)
    assert len(row["loss_blocks"]) == spec.evaluation.blocks
    events = rows(folder, "layers.parquet")
    assert sum(e["kept"] for e in events if e["event"] == spec.schedule.events - 1) == row["N_final"]
    curve = rows(folder, "curve.parquet")
    assert curve[-1]["step"] == spec.schedule.total_steps
    assert curve[-1]["loss_train"] < curve[0]["loss_train"]
    assert RunFolder(folder).is_done(spec)


def test_it_is_evaluated_every_so_many_steps_and_that_changes_nothing(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    plain = make_spec(dense_steps=16)
    spec = replace(plain, evaluation=replace(plain.evaluation, every=7))
    often = train.train(spec, Folder.open(tmp_path / "often"), text, Resources())
    once = train.train(plain, Folder.open(tmp_path / "once"), text, Resources())
    taken = {
        r["step"]: r["loss_eval"] for r in rows(Folder.open(tmp_path / "often"), "curve.parquet") if r["loss_eval"]
    }
    assert sorted(taken) == list(range(7, spec.schedule.total_steps + 1, 7))
    assert often["loss_blocks"] == once["loss_blocks"]


def test_micro_batches_and_stages_give_the_same_loss(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    spec = make_spec(dense_steps=24)
    losses = [
        train.train(spec, Folder.open(tmp_path / str(i)), text, resources)["loss"]
        for i, resources in enumerate(
            [Resources(), Resources(micro_batch=1), Resources(zero_stage=0), Resources(zero_stage=3)]
        )
    ]
    assert losses == pytest.approx([losses[0]] * 4, abs=2e-4)


def test_the_authors_packing_trains(text_root: Path, make_spec: Make, tmp_path: Path) -> None:
    from repro.corpus import build

    spec = make_spec(dense_steps=24)
    spec = replace(spec, corpus=replace(spec.corpus, packing="documents"), repeat=True)
    packed = build(spec.corpus, spec.model.vocab, spec.model.sequence, text_root)
    row = train.train(spec, Folder.open(tmp_path / "run"), packed, Resources(micro_batch=2))
    assert 2 < row["loss"] < 7


def test_a_loss_that_is_not_finite_fails_the_run_with_the_reason(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    folder = Folder.open(tmp_path / "run")
    with pytest.raises((RunFailed, FloatingPointError)):
        train.train(make_spec(lr=1e30), folder, text, Resources())
    status = RunFolder(folder).status()
    assert status["state"] == "failed"
    assert "finite" in status["reason"] or "nan" in status["reason"]


def test_too_little_text_is_refused_before_anything_is_written(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="more text than the corpus has"):
        train.train(make_spec(0.0, dense_steps=10**6), Folder.open(tmp_path / "run"), text, Resources())
    assert not (tmp_path / "run").exists()


@pytest.mark.full
def test_twenty_runs_in_one_process_leak_nothing(text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    spec, seen = make_spec(dense_steps=30), []
    for i in range(20):
        train.train(spec, Folder.open(tmp_path / str(i)), text, Resources())
        seen.append((len(os.listdir("/proc/self/fd")), threading.active_count(), len(os.listdir("/proc/self/task"))))
    assert len(set(seen[2:])) == 1, seen


def test_the_command_trains_a_spec_without_ray(
    text_root: Path, make_spec: Make, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    spec = make_spec(dense_steps=8, interval=2)
    (tmp_path / "spec.json").write_text(json.dumps({**spec.to_dict(), "fingerprint": spec.fingerprint}))
    words = ["train", str(tmp_path / "spec.json"), "--out", str(tmp_path / "run"), "--corpus", str(text_root)]
    assert main(words) == 0
    assert "held-out loss" in capsys.readouterr().out
    assert main(words) == 0
    assert "done already" in capsys.readouterr().out
