"""Surgery between two runs: what a child begins with, holds, reads and records, and that a kill changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from repro.corpus import Corpus
from repro.errors import UserError
from repro.models.export import export
from repro.models.folder import start_from
from repro.resources import Resources, Stage
from repro.spec import CalibrationSpec, RunSpec, SurgerySpec, from_kept
from repro.store.folder import Folder
from repro.surgery import methods
from repro.surgery.calibration_set import from_corpus
from repro.surgery.methods import prune
from repro.surgery.net import net_of_run
from repro.training import record
from repro.training.train import train
from tests import workers
from tests.repro.training.children import CONSTANT, CPU, MODEL, assert_a_kill_changes_nothing, child, trained
from tests.repro.training.lives import rows

pytestmark = pytest.mark.slow

TEXT = CalibrationSpec(sequences=8, seed=3)


@pytest.mark.parametrize(
    ("surgery", "left"),
    [
        (SurgerySpec("depth-taylor", 0.13, calibration=TEXT), {"layers": 3}),
        (SurgerySpec("width-taylor", 0.3, calibration=TEXT), {"heads": 1, "mlp": 11}),
        pytest.param(SurgerySpec("depth-taylor", 0), {}, marks=pytest.mark.full),
    ],
)
def test_a_child_begins_with_what_surgery_leaves_and_says_what_it_was(
    surgery: SurgerySpec,
    left: dict[str, int],
    dense: RunSpec,
    parent: Callable[[RunSpec], Path],
    text: Corpus,
    tmp_path: Path,
) -> None:
    spec = child(dense, surgery)
    run = trained(spec, tmp_path / "child", text, parent(dense))
    assert {key: getattr(spec.model, key) for key in left} == left
    [row], [before] = rows(run, "run.parquet"), rows(Folder.open(parent(dense)), "run.parquet")
    said = run.read_json(record.SURGERY)
    assert (row["surgery"], row["surgery_rate"]) == (surgery.method, surgery.rate)
    assert row["N_total_before"] == said["params_before"] == before["N_total"]
    assert row["rho"] == said["rate_all"] == pytest.approx(1 - row["N_total"] / before["N_total"], abs=1e-12)
    assert row["rho_linear"] == said["rate_linear"]
    assert row["L_before"] == pytest.approx(before["loss"], rel=1e-6)
    assert (row["L_parent"] == before["loss"]) == (surgery.rate == 0), "nothing removed: the weights are the parent's"
    assert row["N_avg_life"] == pytest.approx(
        (before["N_prunable"] * before["D"] + row["N_prunable"] * row["D"]) / (before["D"] + row["D"])
    )
    curve = rows(run, "curve.parquet")
    assert [(one["tokens"], one["loss_eval"]) for one in curve[:1]] == [(0, row["L_parent"])]
    evaluated = [one["step"] for one in curve if one["loss_eval"] is not None]
    assert evaluated == [0, 1, 10], "a hundredth of ten steps and a tenth are both one step"
    assert [one["lr"] for one in curve[3:]] == [CONSTANT.lr] * 8


def test_the_text_goes_on_after_the_parents_and_calibration_is_of_the_training_part(
    dense: RunSpec, text: Corpus
) -> None:
    spec = child(dense, SurgerySpec("depth-taylor", 0.2, calibration=TEXT))
    assert spec.position == 20 * dense.optimizer.batch
    drawn = from_corpus(text, 8, 32, seed=3)
    assert drawn.to_dict()["name"] == "pydoc, training part"
    held = {tuple(row) for row in text.heldout.take(torch.arange(len(text.heldout)).numpy())[:, :32].tolist()}
    assert not any(tuple(row) in held for row in drawn.tokens.tolist())
    for sequences, length in ((len(text.train) + 1, 8), (2, 34)):
        with pytest.raises(UserError, match="calibration text too short"):
            from_corpus(text, sequences, length, seed=0)


@pytest.mark.parametrize(
    ("surgery", "zero_stage"),
    [
        (SurgerySpec("wanda", 0.3, calibration=TEXT), 1),
        pytest.param(SurgerySpec("magnitude", None, "2:4"), 0, marks=pytest.mark.full),
        (SurgerySpec("sparsegpt", 0.2, "2:4", calibration=TEXT), 3),
        pytest.param(SurgerySpec("sparsegpt", 0.2, "2:4", calibration=TEXT), 2, marks=pytest.mark.full),
        pytest.param(SurgerySpec("wanda", 0.3, calibration=TEXT), 3, marks=pytest.mark.full),
    ],
)
def test_the_zeros_of_a_one_shot_method_hold_to_the_bit(
    surgery: SurgerySpec,
    zero_stage: Stage,
    dense: RunSpec,
    parent: Callable[[RunSpec], Path],
    text: Corpus,
    tmp_path: Path,
) -> None:
    spec = child(dense, surgery, steps=4)
    text_of = None if surgery.calibration is None else from_corpus(text, 8, 32, seed=3)
    structure = None if surgery.structure == "unstructured" else surgery.structure
    pruned = prune(
        net_of_run(Folder.open(parent(dense))), surgery.method, surgery.rate, structure=structure, text=text_of
    )
    run = trained(spec, tmp_path / "child", text, parent(dense), Resources(device="cpu", zero_stage=zero_stage))
    ended = net_of_run(run).weights
    for name, weight in pruned.net.weights.items():
        if weight.dim() == 2 and "embed" not in name:
            assert torch.equal(ended[name] == 0, weight == 0), name
    moved = sum(int((ended[name] != weight).sum()) for name, weight in pruned.net.weights.items())
    assert moved > 0.5 * sum(int((weight != 0).sum()) for weight in pruned.net.weights.values()), "it trains"
    [row] = rows(run, "run.parquet")
    removed = sum(pruned.record["removed"]["weights"].values())
    assert row["N_prunable"] - row["N_final"] == removed
    assert row["rho"] == pytest.approx(removed / row["N_total"], abs=1e-12)


@pytest.mark.parametrize(
    "surgery",
    [
        SurgerySpec("depth-taylor", 0.2, calibration=TEXT),
        pytest.param(SurgerySpec("magnitude", None, "2:4"), marks=pytest.mark.full),
    ],
)
def test_killed_in_surgery_and_in_post_training_a_child_ends_as_one_that_was_not(
    surgery: SurgerySpec, dense: RunSpec, parent: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    assert_a_kill_changes_nothing(child(dense, surgery), methods, parent(dense), text, tmp_path)


def test_a_public_model_is_pruned_as_a_run_is_and_refused_if_it_is_another(
    dense: RunSpec, parent: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    surgery = SurgerySpec("depth-taylor", 0.13, calibration=TEXT)
    export(Folder.open(parent(dense)), tmp_path / "model", text)
    own = replace(dense, run_id="child", optimizer=CONSTANT, dense_steps=4)
    spec = own.starting_at(start_from(str(tmp_path / "model")), surgery)
    assert from_kept(spec.to_dict()) == spec
    train(spec, Folder.open(tmp_path / "child"), text, CPU)
    of_run = own.starting_from(dense, 20, surgery)
    whole = trained(of_run, tmp_path / "of-run", text, parent(dense))
    [mine], [theirs] = rows(Folder.open(tmp_path / "child"), "run.parquet"), rows(whole, "run.parquet")
    for name in ("L_before", "L_parent", "rho", "N_total_before"):
        assert mine[name] == pytest.approx(theirs[name], rel=1e-6), name
    assert (mine["position"], theirs["position"]) == (0, 80)
    assert mine["start_sha256"] is not None
    other = replace(own, model=replace(MODEL, norm_eps=1e-6)).starting_at(start_from(str(tmp_path / "model")), surgery)
    with pytest.raises(UserError, match="a model of another shape") as caught:
        train(other, Folder.open(tmp_path / "other"), text, CPU)
    assert caught.value.key == "norm_eps"


def test_a_parent_that_was_trained_again_otherwise_is_refused(
    dense: RunSpec, parent: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    other = replace(dense, optimizer=replace(dense.optimizer, lr=4e-3))
    spec = child(other, SurgerySpec("random-depth", 0.2))
    with pytest.raises(UserError, match="not the run from which child starts") as caught:
        trained(spec, tmp_path / "child", text, parent(dense))
    assert (caught.value.found, caught.value.expected) == (dense.fingerprint, other.fingerprint)


def rank_of_child(spec: RunSpec, folder: str, parent: str, corpus: str, stage: Stage) -> None:
    resources = Resources(device="cpu", workers=2, zero_stage=stage)
    train(spec, Folder.open(folder), Corpus(Path(corpus)), resources, parent=Folder.open(parent))


@pytest.mark.full
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_one_of_two_ranks_prunes_and_both_hold_the_zeros_of_their_shards(
    stage: Stage, dense: RunSpec, parent: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    spec = child(dense, SurgerySpec("sparsegpt", 0.2, "2:4", calibration=TEXT), steps=4)
    alone = trained(spec, tmp_path / "alone", text, parent(dense))
    place = tmp_path / "child"
    workers.run(2, rank_of_child, spec, str(place), str(parent(dense)), str(text.folder), stage)
    mine, theirs = net_of_run(Folder.open(place)).weights, net_of_run(alone).weights
    for name, weight in theirs.items():
        assert torch.equal(mine[name] == 0, weight == 0), name
        torch.testing.assert_close(mine[name], weight, rtol=0, atol=1e-4)
    [one], [two] = rows(Folder.open(place), "run.parquet"), rows(alone, "run.parquet")
    assert one["L_before"] == two["L_before"], "one rank alone has measured it"
    assert one["L_parent"] == pytest.approx(two["L_parent"], rel=1e-6)
