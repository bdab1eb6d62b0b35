"""A model in is the starting point of a run, bears its identity, and is refused where it isn't the one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from repro import strict
from repro.__main__ import main
from repro.corpus import Corpus
from repro.errors import UserError
from repro.models import export
from repro.models.folder import start_from
from repro.models.start import weights
from repro.resources import Resources
from repro.spec import Init, ModelSpec, ModelStart, RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import RunFolder
from repro.training import model
from repro.training.fork import fork
from repro.training.train import train
from tests.repro.training.lives import assert_same, rows, stopped

Make = Callable[..., RunSpec]
SHAPE = ModelSpec(32, 2, 2, 48, 300, 32)


@pytest.fixture(scope="module")
def out(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], Path]:
    """The exported model of a run that was trained once."""
    made: dict[str, Path] = {}

    def of(spec: RunSpec) -> Path:
        if spec.fingerprint not in made:
            root = tmp_path_factory.mktemp("start")
            train(spec, Folder.open(root / "run"), text, Resources(device="cpu"))
            export.export(Folder.open(root / "run"), root / "model", text, compact=True)
            made[spec.fingerprint] = root / "model"
        return made[spec.fingerprint]

    return of


def load(network: nn.Module, spec: ModelSpec, start: ModelStart) -> None:
    """Gives a network the weights of a model folder."""
    own = dict(network.named_parameters())
    found = weights(spec, start, {name: parameter.shape for name, parameter in own.items()})
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(found[name].view(parameter.shape))


@pytest.fixture
def dense(make_spec: Make) -> RunSpec:
    return replace(make_spec(0.0, dense_steps=20), model=SHAPE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("init", "layout"),
    [
        ("fan_in", ""),
        ("transformers", "compact"),
        pytest.param("fan_in", "compact", marks=pytest.mark.full),
        pytest.param("transformers", "", marks=pytest.mark.full),
    ],
)
def test_a_run_begins_where_the_other_ended(
    init: Init, layout: str, dense: RunSpec, out: Callable[[RunSpec], Path], text: Corpus
) -> None:
    """Weights trained under one scale of the queries serve a run under the other."""
    network = model.build(replace(SHAPE, init=init), seed=1)
    folder = out(dense) / layout
    load(network, replace(SHAPE, init=init), start_from(str(folder)))
    tokens = torch.from_numpy(text.heldout.take(np.arange(4))[:, :-1].astype("int64"))
    with torch.no_grad():
        theirs = export.load_compact(str(folder))(tokens).logits
        assert torch.allclose(network(tokens).logits, theirs, atol=1e-5)


@pytest.mark.slow
def test_started_from_a_model_a_run_begins_at_its_loss_and_says_so(
    dense: RunSpec, out: Callable[[RunSpec], Path], text_root: Path, tmp_path: Path
) -> None:
    again = replace(dense, run_id="again", optimizer=replace(dense.optimizer, lr=1e-6, warmup=0.0))
    (tmp_path / "spec.json").write_text(json.dumps(again.to_dict()))
    words = ["train", str(tmp_path / "spec.json"), "--corpus", str(text_root), "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "more"), "--init", str(out(dense))]) == 0
    assert main([*words, "--out", str(tmp_path / "new")]) == 0
    more, new = (rows(Folder.open(tmp_path / name), "run.parquet")[0] for name in ("more", "new"))
    [before] = rows(Folder.open(out(dense).parent / "run"), "run.parquet")
    assert more["loss"] == pytest.approx(before["loss"], abs=1e-3)
    assert new["loss"] > before["loss"] + 0.3
    assert more["fingerprint"] != new["fingerprint"] == again.fingerprint
    kept, _ = RunFolder(Folder.open(tmp_path / "more")).spec()
    assert kept.start == start_from(str(out(dense)))


@pytest.mark.slow
def test_started_from_a_run_it_reads_on_and_takes_the_weights_as_they_are(
    dense: RunSpec, out: Callable[[RunSpec], Path], text_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = out(dense).parent / "run"
    (tmp_path / "spec.json").write_text(json.dumps(replace(dense, run_id="next").to_dict()))
    words = ["train", str(tmp_path / "spec.json"), "--corpus", str(text_root), "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "next"), "--init", str(parent)]) == 0
    [row] = rows(Folder.open(tmp_path / "next"), "run.parquet")
    [before] = rows(Folder.open(parent), "run.parquet")
    assert (row["parent"], row["parent_step"], row["position"]) == (dense.run_id, 20, 20 * dense.optimizer.batch)
    assert row["L_parent"] == before["loss"]
    assert row["loss"] < before["loss"]
    kept, _ = RunFolder(Folder.open(tmp_path / "next")).spec()
    assert kept.parent == dense
    (tmp_path / "kept.json").write_text(json.dumps(kept.to_dict()))
    words[1] = str(tmp_path / "kept.json")
    assert main([*words, "--out", str(tmp_path / "lost")]) == 2
    assert "--init" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "again"), "--init", str(parent)]) == 0
    assert rows(Folder.open(tmp_path / "again"), "run.parquet")[0]["loss_blocks"] == row["loss_blocks"]
    assert main([*words, "--out", str(tmp_path / "other"), "--init", str(tmp_path / "next")]) == 2
    assert dense.fingerprint in capsys.readouterr().err


def test_identity_is_of_the_weights_and_not_of_where_they_lie(
    dense: RunSpec, out: Callable[[RunSpec], Path], tmp_path: Path
) -> None:
    found = start_from(str(out(dense)))
    state = load_file(out(dense) / "model.safetensors")
    for name, change in (("same", 0.0), ("other", 1e-3)):
        (tmp_path / name).mkdir()
        state["lm_head.weight"][0, 0] += change
        save_file(state, tmp_path / name / "model.safetensors", metadata={"by": name})
    same, other = (start_from(str(tmp_path / name)) for name in ("same", "other"))
    spec = replace(dense, start=found)
    assert replace(dense, start=same).fingerprint == spec.fingerprint != dense.fingerprint
    assert replace(dense, start=other).fingerprint != spec.fingerprint
    assert strict.build(RunSpec, spec.to_dict()) == spec


@pytest.mark.full
def test_a_run_that_is_resumed_and_started_is_the_one_that_was_not_stopped(
    dense: RunSpec, out: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    spec = replace(dense, run_id="more", start=start_from(str(out(dense))))
    whole, resumed = Folder.open(tmp_path / "whole"), Folder.open(tmp_path / "resumed")
    resources = Resources(device="cpu", checkpoint_every=8)
    train(spec, whole, text, resources)
    stopped(spec, resumed, text, resources, 13)
    train(spec, resumed, text, resources)
    assert_same(resumed, whole, "started from a model and resumed")


@pytest.mark.full
def test_a_sparse_model_stays_what_it_is_at_its_own_constant_sparsity(
    make_spec: Make, out: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path
) -> None:
    sparse = replace(make_spec(dense_steps=24), model=SHAPE)
    folder = out(sparse)
    static = replace(make_spec(dense_steps=6, shape="constant", start=0.0, end=0.0), model=SHAPE)
    spec = replace(static, start=start_from(str(folder)))
    train(spec, Folder.open(tmp_path / "run"), text, Resources(device="cpu"))
    export.export(Folder.open(tmp_path / "run"), tmp_path / "model", text)
    before, after = (load_file(place / "model.safetensors") for place in (folder, tmp_path / "model"))
    assert not torch.equal(before["lm_head.weight"], after["lm_head.weight"])
    for name in before:
        assert torch.equal(before[name] != 0, after[name] != 0), name


def test_strangers_are_refused(
    dense: RunSpec, out: Callable[[RunSpec], Path], text: Corpus, tmp_path: Path, make_spec: Make
) -> None:
    found = start_from(str(out(dense)))
    with pytest.raises(UserError, match="SHA-256"):
        ModelStart("abc", str(out(dense)))
    with pytest.raises(UserError, match="not the weights"):
        load(model.build(SHAPE, 0), SHAPE, replace(found, sha256="0" * 64))
    for change, key in (
        ({"mlp": 64}, "mlp"),
        ({"layers": 1}, "layers.1"),
        ({"heads": 1}, "num_attention_heads"),
        ({"norm_eps": 1e-6}, "rms_norm_eps"),
        ({"rope_base": 500_000.0}, "rope"),
    ):
        other = replace(SHAPE, **change)
        with pytest.raises(UserError, match=key):
            load(model.build(other, 0), other, found)
    child = replace(dense, run_id="child", dense_steps=40, start=found)
    with pytest.raises(UserError, match="the initialisation"):
        fork(Folder.open(out(dense).parent / "run"), Folder.open(tmp_path / "child"), child)
