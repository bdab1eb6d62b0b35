"""What `evaluate` refuses: models that are not whole or safe, bad arguments, runs without their text or checkpoint."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from repro.__main__ import main
from repro.corpus import Corpus
from tests.repro.evaluation.prose import PROSE


def words(*them: object) -> list[str]:
    return ["evaluate", *map(str, them)]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        pytest.param(lambda folder: _pickled(folder), "could not be loaded", id="pickled weights"),
        pytest.param(lambda folder: _lacking(folder), "missing weights", id="a weight is missing"),
        pytest.param(lambda folder: (folder / "config.json").unlink(), "no model in this folder", id="no config"),
        pytest.param(lambda folder: (folder / "tokenizer.json").unlink(), "could not be loaded", id="no tokenizer"),
        pytest.param(lambda folder: _with_code(folder), "could not be loaded", id="code of its own"),
        pytest.param(
            lambda folder: (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}'),
            "an adapter",
            id="an adapter",
        ),
        pytest.param(
            lambda folder: _said(folder, num_hidden_layers=10**9), "too large for any model", id="a billion layers"
        ),
        pytest.param(lambda folder: _said(folder, hidden_size=None), "could not be loaded", id="no width"),
        pytest.param(lambda folder: _said(folder, num_attention_heads="4"), "could not be loaded", id="text for heads"),
        pytest.param(lambda folder: (folder / "config.json").write_text("[1]"), "not a JSON object", id="a list"),
        pytest.param(lambda folder: (folder / "tokenizer.json").write_text("{"), "could not be loaded", id="half"),
    ],
)
def test_a_model_that_is_not_whole_or_safe_is_refused(
    published: Path,
    tmp_path: Path,
    break_it: Callable[[Path], object],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(published, folder)
    tmp_path.joinpath("prose.txt").write_text(PROSE[:2000])
    break_it(folder)
    assert main(words(folder, tmp_path / "prose.txt")) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("answer", ["y\n" * 9, ""])
def test_code_beside_a_model_and_kernels_that_its_config_names_are_left_alone(
    answer: str, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is one that transformers knows, so it is evaluated; nobody is asked, whatever stands on stdin."""
    folder = tmp_path / "model"
    shutil.copytree(published, folder)
    tmp_path.joinpath("prose.txt").write_text(PROSE[:2000])
    assert main(words(folder, tmp_path / "prose.txt", "--json")) == 0
    before = json.loads(capsys.readouterr().out)["evaluations"][0]["loss"]
    _with_code(folder)
    _said(folder, model_type="llama", attn_implementation="evil/kernel", _attn_implementation="evil/kernel")
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer |= {"auto_map": {"AutoTokenizer": ["code.T", "code.T"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(words(folder, tmp_path / "prose.txt", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["evaluations"][0]["loss"] == before
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"tokenizer_class": "MineTokenizer"}))
    main(words(folder, tmp_path / "prose.txt", "--json"))
    assert not (tmp_path / "ran").exists()


def _said(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def _pickled(folder: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _lacking(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    held = load_file(folder / "model.safetensors")
    del held["model.layers.1.mlp.up_proj.weight"]
    save_file(held, folder / "model.safetensors", {"format": "pt"})


def _with_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(folder.parent / 'ran')!r}, 'w')")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to evaluate on"),
        (("missing.txt",), "no such files"),
        (("missing",), "no such text"),
        (("prose.txt", "--window", "50"), "window out of range"),
        (("prose.txt", "--stride", "50"), "stride out of range"),
        (("prose.txt", "--max-tokens", "0"), "value out of range"),
        (("tiny.txt",), "too little text"),
        (("empty.txt",), "an empty text"),
        (("prose.txt", "--tasks", "x", "--tasks-path", "missing"), "no such folder of tasks"),
    ],
)
def test_bad_arguments_are_refused(
    published: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in (("prose.txt", PROSE[:2000]), ("tiny.txt", "tiny"), ("empty.txt", " \n")):
        tmp_path.joinpath(name).write_text(content)
    assert main(words(published, *arguments)) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_whose_corpus_or_checkpoint_is_gone_is_refused(
    results: Path, text: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.joinpath("prose.txt").write_text(PROSE[:2000])
    asked = words(results / "runs" / "sparse", tmp_path / "prose.txt", "--out", tmp_path)
    assert main([*asked, "--corpus", str(tmp_path / "nowhere")]) == 2
    assert "whose tokenizer is needed" in capsys.readouterr().err
    run = tmp_path / "run"
    shutil.copytree(results / "runs" / "sparse", run)
    [kept] = (run / "checkpoint").iterdir()
    data = bytearray((kept / "rank-0.safetensors").read_bytes())
    data[-1] ^= 1
    (kept / "rank-0.safetensors").write_bytes(data)
    assert main([*words(run, tmp_path / "prose.txt"), "--corpus", str(text.folder.parent)]) == 2
    assert "rank-0.safetensors doesn't have its hash" in capsys.readouterr().err
