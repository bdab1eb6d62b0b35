"""`python -m repro prune`, as a user calls it."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from repro.__main__ import main
from repro.corpus import Corpus
from repro.evaluation import texts
from repro.evaluation.reader import TextReader
from repro.resources import Resources
from repro.spec import ModelSpec, RunSpec
from repro.store.folder import Folder
from repro.surgery.calibration_set import held_out
from repro.surgery.catalogue import METHODS
from repro.training.train import train
from tests.repro.surgery.nets import PUBLISHED, random_net

LEAVES = "params_before params_after rate_all rate_linear method loss_before loss_after"


@pytest.fixture
def prune(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The verb with --json, from a model to tmp_path / "out"; what it says."""

    def call(model: Path, *words: object) -> dict[str, Any]:
        code = main(["prune", str(model), str(tmp_path / "out"), *map(str, words), "--json"])
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out)

    return call


@pytest.mark.parametrize("method", METHODS)
def test_each_method_writes_what_plain_transformers_loads_with_the_loss_that_it_says(
    method: str, published: Path, words: Path, tmp_path: Path, prune: Callable[..., dict[str, Any]]
) -> None:
    found = prune(
        published, "--method", method, "--rate", 0.25, "--text", words, "--sequences", 8, "--held-out", 6, "--seed", 3
    )
    assert set(LEAVES.split()) <= found.keys()
    assert found["method"] == method
    assert found["params_before"] == PUBLISHED.shape.total
    assert found["rate_all"] == 1 - found["params_after"] / found["params_before"]
    assert abs(found["rate_all"] - 0.25) < 0.1
    assert found["rate_linear"] > found["rate_all"]

    out = tmp_path / "out"
    model = AutoModelForCausalLM.from_pretrained(out)
    left = sum(parameter.numel() - int((parameter == 0).sum()) for parameter in model.parameters())
    assert left == found["params_after"]
    tokenizer: Any = AutoTokenizer.from_pretrained(out)
    text = texts.read(texts.find(str(words), "text", None), TextReader(tokenizer))
    tokens = held_out(text, 6, PUBLISHED.sequence)
    with torch.no_grad():
        assert float(model(tokens, labels=tokens).loss) == pytest.approx(found["loss_after"], rel=1e-5)
        before = AutoModelForCausalLM.from_pretrained(published)
        assert float(before(tokens, labels=tokens).loss) == pytest.approx(found["loss_before"], rel=1e-5)
    assert main(["inspect", str(out)]) == 0, "the card's claims"

    record = json.loads((out / "surgery.json").read_text())
    assert {key: record[key] for key in record if key != "removed"} == {k: v for k, v in found.items() if k != "out"}
    assert record["removed"]
    card = (out / "README.md").read_text()
    assert f"{found['params_after']:,}" in card
    assert f"It took {found['seconds']:,.1f} s and {found['peak_memory'] / 1e9:.3g} GB" in card
    assert found["peak_memory"] > 1e8, "a process with torch in it"
    assert f"{math.exp(found['loss_after']):,.2f}" in card
    assert str(words.parent) not in card + json.dumps(record), "a path of this machine"


@pytest.mark.slow
def test_a_run_is_pruned_on_its_own_text(
    make_spec: Callable[..., RunSpec], text: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = replace(make_spec(0.0, dense_steps=4), model=ModelSpec(32, 3, 4, 48, 300, 32))
    train(spec, Folder.open(tmp_path / "run"), text, Resources(device="cpu"))
    out, root = tmp_path / "out", str(text.folder.parent)
    given = ["--method", "depth-influence", "--rate", ".2", "--text", str(text.folder), "--corpus", root]
    code = main(["prune", str(tmp_path / "run"), str(out), *given, "--sequences", "8", "--held-out", "8"])
    said, told = capsys.readouterr()
    assert code == 0, told
    assert "1 of 3 blocks" in told
    assert "perplexity" in said
    assert AutoModelForCausalLM.from_pretrained(out).config.num_hidden_layers == 2
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (text.manifest.bos, text.manifest.eos)
    assert f"# {spec.run_id}, pruned by depth-influence" in (out / "README.md").read_text()


def test_methods_are_judged_on_the_same_sequences_whatever_they_are_calibrated_on(
    published: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = set()
    for index, (method, seed, sequences) in enumerate([("magnitude", 0, 1), ("wanda", 1, 4), ("random-depth", 2, 9)]):
        given = ["--method", method, "--rate", ".2", "--text", str(words), "--held-out", "8"]
        more = ["--seed", str(seed), "--sequences", str(sequences), "--json"]
        assert main(["prune", str(published), str(tmp_path / str(index)), *given, *more]) == 0
        losses.add(json.loads(capsys.readouterr().out)["loss_before"])
    assert len(losses) == 1


def test_without_text_there_are_no_losses_and_a_dry_run_foretells_the_counts(
    published: Path, tmp_path: Path, prune: Callable[..., dict[str, Any]]
) -> None:
    given = ("--method", "random-width", "--rate", 0.3)
    foretold = prune(published, *given, "--dry-run")
    assert not (tmp_path / "out").exists()
    found = prune(published, *given)
    assert found["loss_before"] is found["loss_after"] is None
    assert {key: found[key] for key in foretold} == foretold
    card = (tmp_path / "out" / "README.md").read_text()
    assert "no text was given" in card
    assert "None: the method draws what goes." in card


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--method depth-ppl --rate .95 --text TEXT", "a rate that leaves no block"),
        ("--method magnitude --rate .95", "a rate that leaves no weights"),
        ("--method random-width --rate .95", "a rate that leaves no channel"),
        ("--method random-width --rate .2 --groups 2", "a width that can't be divided among the remaining heads"),
        ("--method wanda --rate .2 --text TEXT --sequences 1000000", "calibration text too short"),
        ("--method wanda --rate .2 --text TEXT --length 33", "calibration sequences longer than the model's context"),
        ("--method wanda --rate .2", "wanda needs calibration text"),
        ("--method wanda --rate 1.5 --text TEXT", "rate out of range"),
        ("--method wanda --text TEXT", "no rate"),
        ("--method wanda --structure 2:5 --text TEXT", "structure"),
        ("--method wanda --rate .2 --groups 1 --text TEXT", "wanda takes no groups"),
        ("--method depth --rate .2", "no such method"),
        ("--method magnitude --rate .2 --text nowhere", "no such text"),
    ],
)
def test_what_the_model_does_not_allow_is_said_and_nothing_is_written(
    given: str, said: str, published: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["prune", str(published), str(out), *given.replace("TEXT", str(words)).split()]) == 2
    message = capsys.readouterr().err
    assert f"error: {said}" in message or said == "structure", message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


def test_models_that_can_not_be_pruned_are_refused_each_by_its_own_error(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((published / "config.json").read_text())

    def refused(model: Path, *words: str) -> str:
        assert main(["prune", str(model), str(tmp_path / "out"), "--method", *words]) == 2
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    other = tmp_path / "other"
    other.mkdir()
    for file in published.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "config.json").write_text(json.dumps(config | {"model_type": "gpt_neox"}))
    assert "a model of another architecture" in refused(other, "random-depth", "--rate", ".2")

    net = random_net(PUBLISHED)
    net.weights["model.layers.2.mlp.up_proj.weight"][0, :3] = 0  # of which 2:4 removes two
    net.network().save_pretrained(other)
    assert "kept weights that are exactly zero" in refused(other, "magnitude", "--structure", "2:4")

    assert "no such model" in refused(tmp_path / "nowhere", "magnitude", "--rate", ".1")
    assert "something of this name exists already" in _said(capsys, published, other)
    if importlib.util.find_spec("gguf") is None:
        (tmp_path / "model.gguf").write_bytes(b"GGUF")
        assert "pip install gguf" in refused(tmp_path / "model.gguf", "magnitude", "--rate", ".1")


def _said(capsys: pytest.CaptureFixture[str], model: Path, out: Path) -> str:
    assert main(["prune", str(model), str(out), "--method", "magnitude", "--rate", ".1"]) == 2
    return capsys.readouterr().err
