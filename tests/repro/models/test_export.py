"""An exported run is the model that was trained, for transformers alone, and never anything less."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, pipeline

from repro.__main__ import main
from repro.corpus import Corpus
from repro.errors import UserError
from repro.models import appearing, bitmask, export
from repro.models.card import Card
from repro.resources import Resources, Stage
from repro.spec import Init, RunSpec
from repro.store.folder import Folder
from repro.training.train import train
from tests import workers
from tests.repro.models import trainer
from tests.repro.models.runs import SHAPE, Run, Trained
from tests.repro.training.lives import stopped

Make = Callable[..., RunSpec]


@pytest.fixture(scope="module")
def trained(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(text, tmp_path_factory)


@pytest.fixture
def run(trained: Trained, make_spec: Make) -> Run:
    return trained.sparse(make_spec)


@pytest.mark.slow
@pytest.mark.parametrize("init", ["fan_in", pytest.param("transformers", marks=pytest.mark.full)])
def test_transformers_computes_the_logits_of_the_trainer(
    init: Init, trained: Trained, make_spec: Make, tmp_path: Path
) -> None:
    sparse = make_spec(dense_steps=24, do_not_prune=("q_proj",))  # which else none is left of, small as they begin
    run = trained(replace(sparse, model=replace(SHAPE, init=init)))
    out = run.export(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(out)
    ours = trainer.logits(run.folder, run.text, run.tokens())
    with torch.no_grad():
        theirs = model(run.tokens()).logits
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.div_(2)
        others = model(run.tokens()).logits
    assert (theirs - ours).abs().max() <= 1e-5
    assert (others - ours).abs().max() > 1e-4, "the queries don't matter, so this test showed nothing"
    assert model.dtype == torch.float32
    found = json.loads((out / "config.json").read_text())
    assert found["architectures"] == ["LlamaForCausalLM"]
    assert "quantization_config" not in found
    assert not [name for name in found if name == "auto_map"]


def test_weights_are_the_masters_with_the_queries_scaled_and_no_negative_zero(run: Run, tmp_path: Path) -> None:
    found = load_file(run.export(tmp_path / "model") / "model.safetensors")
    masters = run.weights()
    assert set(found) == set(masters)
    negative = 0
    for name, master in masters.items():
        scale = 4 if name.endswith("q_proj.weight") else 1
        assert torch.equal(found[name].view(-1), master * scale), name
        negative += int((master.signbit() & (master == 0)).sum())
        assert not (found[name].signbit() & (found[name] == 0)).any(), name
    assert negative > 0, "no master was -0.0, so this test showed nothing"


def test_bf16_is_the_masters_rounded_once(run: Run, tmp_path: Path) -> None:
    out = run.export(tmp_path / "model", dtype="bf16")
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.dtype == torch.bfloat16
    state = model.state_dict()
    for name, master in run.weights().items():
        scale = 4 if name.endswith("q_proj.weight") else 1
        assert torch.equal(state[name].view(-1), (master * scale).bfloat16()), name


def test_the_tokenizer_is_the_corpus_own_and_begins_with_bos(run: Run, tmp_path: Path) -> None:
    out = run.export(tmp_path / "model")
    loaded = AutoTokenizer.from_pretrained(out)
    words = ["The with statement\n  is used", "  naïve — 3.14 \t", "if x: return"]
    for word in words:
        ids, _ = run.text.tokenizer.encode_batch([word], np.dtype(np.uint32))
        assert loaded(word)["input_ids"] == ids[:-1].tolist()
        assert loaded.decode(ids[1:-1]) == word
    manifest = run.text.manifest
    assert (loaded.bos_token_id, loaded.eos_token_id) == (manifest.bos, manifest.eos)
    generation = GenerationConfig.from_pretrained(out)
    assert (generation.bos_token_id, generation.eos_token_id) == (manifest.bos, manifest.eos)


def test_a_pipeline_generates_what_greedy_steps_of_the_model_give(run: Run, tmp_path: Path) -> None:
    out = run.export(tmp_path / "model")
    made = pipeline("text-generation", model=str(out), device="cpu")
    assert made.tokenizer is not None
    prompt = "The "
    [written] = made(prompt, max_new_tokens=8, do_sample=False, return_tensors=True)
    prompt_ids, ids = made.tokenizer(prompt)["input_ids"], torch.as_tensor(written["generated_token_ids"]).view(1, -1)
    assert ids[0, : len(prompt_ids)].tolist() == prompt_ids
    greedy = trainer.logits(run.folder, run.text, ids)[0].argmax(-1)
    assert ids.shape[1] > len(prompt_ids)
    assert ids[0, len(prompt_ids) :].tolist() == greedy[len(prompt_ids) - 1 : -1].tolist()


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_compact_folder_gives_the_same_weights_and_from_pretrained_refuses_it(
    dtype: export.Dtype, run: Run, tmp_path: Path
) -> None:
    out = run.export(tmp_path / "model", dtype=dtype, compact=True)
    dense = AutoModelForCausalLM.from_pretrained(out)
    compact = export.load_compact(str(out / "compact"))
    assert compact.dtype == dense.dtype
    bits = {torch.float32: torch.int32, torch.bfloat16: torch.int16}[dense.dtype]
    theirs = compact.state_dict()
    assert set(theirs) == set(dense.state_dict())
    for name, weight in dense.state_dict().items():
        assert torch.equal(weight.view(bits), theirs[name].view(bits)), name
    with torch.no_grad():
        assert torch.equal(dense(run.tokens()).logits, compact(run.tokens()).logits)
    for place, where in ((out / "compact", {}), (out, {"subfolder": "compact"})):
        with pytest.raises(OSError, match=r"no file named model\.safetensors"):
            AutoModelForCausalLM.from_pretrained(place, **where)
    assert "quantization_config" not in (out / "compact" / "config.json").read_text()


def test_sharded_exports_load_as_whole_ones_do(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = AutoModelForCausalLM.from_pretrained(run.export(tmp_path / "whole")).state_dict()
    monkeypatch.setattr(appearing, "SHARD", "20KB")
    out = run.export(tmp_path / "sharded", compact=True)
    for folder, stem in ((out, "model"), (out / "compact", "sparse-bitmask")):
        assert len(list(folder.glob(f"{stem}-*-of-*.safetensors"))) > 2
        assert not (folder / f"{stem}.safetensors").exists()
        assert main(["inspect", str(folder)]) == 0
    for model in (AutoModelForCausalLM.from_pretrained(out), export.load_compact(str(out / "compact"))):
        assert all(torch.equal(weight, whole[name]) for name, weight in model.state_dict().items())
    with pytest.raises(OSError, match=r"no file named model\.safetensors"):
        AutoModelForCausalLM.from_pretrained(out / "compact")


@pytest.mark.parametrize(("dtype", "most"), [(torch.bfloat16, 0.27), (torch.float32, 0.24)])
def test_at_eighty_percent_the_layout_keeps_to_its_size_at_the_width_of_58m(dtype: torch.dtype, most: float) -> None:
    d, mlp, vocab = 512, 2048, 4000
    draw = torch.Generator().manual_seed(0)
    dense = packed = 0
    for shape in [(d, d)] * 4 + [(mlp, d)] * 2 + [(d, mlp), (vocab, d)]:
        weight = torch.randn(shape, generator=draw)
        weight[
            weight.abs() < weight.abs().view(-1).kthvalue(int(0.8 * weight.numel())).values.nextafter(torch.tensor(9.0))
        ] = 0
        weight = weight.to(dtype)
        tensors = bitmask.encoded("layer.weight", weight)
        assert torch.equal(bitmask.decoded(tensors)["layer.weight"], weight)
        dense, packed = dense + weight.nbytes, packed + sum(t.nbytes for t in tensors.values())
    assert 0.2 < packed / dense <= most


def test_the_card_claims_what_inspect_finds(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run.export(tmp_path / "model", compact=True)
    for folder in (out, out / "compact"):
        assert main(["inspect", str(folder), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert {c["claim"] for c in found["claims"]} >= {
            "linear_params",
            "nonzero_linear_params",
            "average_linear_params",
        }
        assert found["nonzero_linear_params"] == run.spec.schedule.n_final(run.spec.model.shape.prunable)
        assert found["total_params"] == run.spec.model.shape.total
    card = (out / "README.md").read_text()
    for said in ("N_avg", "held-out", "schedule.png", run.text.hash, "lm_head", "python -m repro train spec.json"):
        assert said in card, said
    assert (out / "schedule.png").read_bytes().startswith(b"\x89PNG")
    nonzero = found["nonzero_linear_params"]
    (out / "README.md").write_text(
        card.replace(f"nonzero_linear_params: {nonzero}", f"nonzero_linear_params: {nonzero + 1}")
    )
    assert main(["inspect", str(out)]) == 1
    assert "WRONG   nonzero_linear_params" in capsys.readouterr().out


def test_a_run_that_is_under_way_exports_its_newest_whole_checkpoint(
    text: Corpus, make_spec: Make, tmp_path: Path
) -> None:
    spec, folder = replace(make_spec(dense_steps=24), model=SHAPE), Folder.open(tmp_path / "run")
    stopped(spec, folder, text, Resources(device="cpu", checkpoint_every=6, keep_checkpoints=3), 20)
    (tmp_path / "run" / "checkpoint" / "step-00000018" / "rank-0.safetensors").write_bytes(b"damaged")
    made = export.export(folder, tmp_path / "model", text)
    assert made.step == 12
    assert "step 12 of" in (tmp_path / "model" / "README.md").read_text()
    AutoModelForCausalLM.from_pretrained(tmp_path / "model")


def test_nothing_is_overwritten_and_nothing_half_made_is_left(
    run: Run, make_spec: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = run.export(tmp_path / "model")
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    assert len({file.stat().st_mode for file in out.iterdir()}) == 1, "not all can be read by the same"
    with pytest.raises(UserError, match="exists already"):
        run.export(out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before

    def fail(card: Card, folder: Path) -> None:
        assert (folder / "model.safetensors").exists()
        raise OSError("the power fails")

    monkeypatch.setattr(Card, "write", fail)
    with pytest.raises(OSError, match="the power fails"):
        run.export(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_cannot_be_exported_is_refused(
    run: Run, text_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--corpus", str(text_root)]
    assert main(["export", str(tmp_path / "none"), str(tmp_path / "out"), *words]) == 2
    assert "no run has begun here" in capsys.readouterr().err
    assert main(["export", str(run.folder), "s3://bucket/out", *words]) == 2
    empty = Folder.open(tmp_path / "empty")
    empty.write("spec.json", run.folder.read("spec.json"))
    assert main(["export", str(empty), str(tmp_path / "out"), *words]) == 2
    assert "no such checkpoint" in capsys.readouterr().err
    kept = empty.read_json("spec.json")
    empty.write_json("spec.json", kept | {"corpus_hash": "another"})
    assert main(["export", str(empty), str(tmp_path / "out"), *words]) == 2
    assert "not the text" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["export", str(run.folder), str(tmp_path / "out"), *words, "--compact", "--precision", "bf16"]) == 0
    assert "compact:" in capsys.readouterr().out


def shared(spec: RunSpec, corpus: Path, folder: Path, stage: Stage) -> float:
    workers.join()
    resources = Resources(device="cpu", workers=2, zero_stage=stage)
    return float(train(spec, Folder.open(folder), Corpus(corpus), resources)["loss"])


@pytest.mark.full
@pytest.mark.parametrize("stage", [1, 3])
def test_a_run_of_two_workers_is_exported_whole(stage: Stage, text: Corpus, make_spec: Make, tmp_path: Path) -> None:
    spec = replace(make_spec(dense_steps=24, do_not_prune=("q_proj",)), model=SHAPE)
    workers.run(2, shared, spec, text.folder, tmp_path / "run", stage)
    run = Run(Folder.open(tmp_path / "run"), spec, text)
    model = AutoModelForCausalLM.from_pretrained(run.export(tmp_path / "model"))
    with torch.no_grad():
        theirs = model(run.tokens()).logits
    assert (theirs - trainer.logits(run.folder, text, run.tokens())).abs().max() <= 1e-5
    assert math.isfinite(theirs.std())
