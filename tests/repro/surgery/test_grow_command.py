"""`python -m repro grow`, as a user calls it."""

from __future__ import annotations

import json
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
from repro.surgery.catalogue import GROWTHS
from repro.training.train import train
from tests.repro.surgery.nets import PUBLISHED


@pytest.mark.parametrize("method", GROWTHS)
def test_each_growth_writes_what_plain_transformers_loads_with_the_loss_that_it_says(
    method: str, published: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, given = tmp_path / "out", ["--method", method, "--factor", "2"]
    assert main(["grow", str(published), str(out), *given, "--dry-run", "--json"]) == 0
    foretold = json.loads(capsys.readouterr().out)
    assert not out.exists()
    more = ["--text", str(words), "--held-out", "6", "--json"]
    assert main(["grow", str(published), str(out), *given, *more]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {key: found[key] for key in foretold} == foretold
    assert found["params_before"] == PUBLISHED.shape.total
    assert found["growth_all"] == found["params_after"] / found["params_before"] > 1.5

    model = AutoModelForCausalLM.from_pretrained(out)
    assert sum(parameter.numel() for parameter in model.parameters()) == found["params_after"]
    tokenizer: Any = AutoTokenizer.from_pretrained(out)
    text = texts.read(texts.find(str(words), "text", None), TextReader(tokenizer))
    tokens = held_out(text, 6, PUBLISHED.sequence)
    with torch.no_grad():
        assert float(model(tokens, labels=tokens).loss) == pytest.approx(found["loss_after"], rel=1e-5)
    keeps = method != "grow-depth-stack"
    assert (found["loss_after"] == pytest.approx(found["loss_before"], rel=1e-5)) == keeps
    assert (found["loss_after"] == found["loss_before"]) or method != "grow-depth-zero", "to the bit"
    assert main(["inspect", str(out)]) == 0, "the card's claims"

    record, card = json.loads((out / "surgery.json").read_text()), (out / "README.md").read_text()
    assert record == {key: value for key, value in found.items() if key != "out"}
    assert f"{found['params_after']:,}" in card
    assert f"grown by {method}" in card
    assert "--factor 2" in card
    assert str(words.parent) not in card + json.dumps(record), "a path of this machine"


@pytest.mark.full  # what opens a run is `prune`'s, tested there
def test_a_run_is_grown_with_its_tokenizer_and_said_in_words(
    make_spec: Callable[..., RunSpec], text: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = replace(make_spec(0.0, dense_steps=4), model=ModelSpec(16, 2, 2, 32, 300, 32))
    train(spec, Folder.open(tmp_path / "run"), text, Resources(device="cpu"))
    out, root = tmp_path / "out", str(text.folder.parent)
    given = ["--method", "grow-width-noise", "--factor", "2", "--text", str(text.folder), "--corpus", root]
    assert main(["grow", str(tmp_path / "run"), str(out), *given, "--held-out", "8"]) == 0
    said, told = capsys.readouterr()
    assert "d_model 16 -> 32" in told
    assert "times" in said
    assert AutoModelForCausalLM.from_pretrained(out).config.hidden_size == 32
    assert AutoTokenizer.from_pretrained(out).bos_token_id == text.manifest.bos
    assert "no text was given" not in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--method wanda --factor 2", "no such growth"),
        ("--method grow-inner --factor 3", "a factor that gives no possible model"),
        ("--method grow-width --factor 1.5", "'1.5' is not a whole number"),
        ("--method grow-width --factor 0", "'0' is not a whole number"),
        ("--method grow-width", "required: --factor"),
        ("--method grow-width --factor 2 --rate .5", "unrecognized arguments"),
        ("--method grow-width --factor 2 --text nowhere", "no such text"),
    ],
)
def test_what_can_not_grow_is_said_and_nothing_is_written(
    given: str, said: str, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["grow", str(published), str(tmp_path / "out"), *given.split()])
    except SystemExit as ended:  # argparse
        code = int(ended.code or 0)
    message = capsys.readouterr().err
    assert code == 2
    assert said in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


def test_pruning_methods_and_growths_are_not_taken_for_each_other(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", str(published), str(tmp_path / "out"), "--method", "grow-width", "--rate", ".5"]) == 2
    assert "no such method" in capsys.readouterr().err
