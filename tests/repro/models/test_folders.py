"""`inspect` says what a folder is that it does not read, and what is missing or odd in one that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from repro.__main__ import main
from tests.repro.models.hand_made import llama, pruned, write

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("files", "said", "todo"),
    [
        (["adapter_model.safetensors", "adapter_config.json"], "an adapter", "merge_and_unload"),
        (["pytorch_model.bin", "config.json"], "pickled", "save_pretrained"),
        (["pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"], "pickled", "save_pretrained"),
        (["consolidated.00.pth", "params.json"], "pickled", "save_pretrained"),
        (["model.Q4_K_M.gguf"], "GGUF", "safetensors"),
        (["tf_model.h5", "config.json"], "TensorFlow", "save_pretrained"),
        (["flax_model.msgpack"], "Flax", "save_pretrained"),
        (["model.onnx", "config.json"], "ONNX", "safetensors"),
        (["model-00001-of-00002.safetensors"], "without their index", "model.safetensors.index.json"),
        (["diffusion_pytorch_model.safetensors"], "another name", ".safetensors file itself"),
        (["spec.json", "status.json"], "a run", "repro export"),
        (["config.json"], "no weights", "model.safetensors"),
        ([], "no weights", "model.safetensors"),
    ],
)
def test_a_folder_of_another_kind_is_named(
    files: list[str], said: str, todo: str, tmp_path: Path, capsys: Capture
) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"{}")
    assert main(["inspect", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert todo in err
    if files and not files[0].endswith((".safetensors", ".json")):
        assert main(["inspect", str(tmp_path / files[0])]) == 2
        assert said in capsys.readouterr().err


def test_an_adapter_is_named_by_its_tensors_too(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "adapter_model.safetensors"
    save_file({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": torch.ones(4, 8)}, file)
    assert main(["inspect", str(file)]) == 2
    assert "an adapter, not a model" in capsys.readouterr().err


def test_a_path_with_brackets_and_one_of_the_home_folder_are_found(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "run [v2]*" / "model?", pruned(0.2), shards=2)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MODELS", str(tmp_path / "run [v2]*"))
    for path in (tmp_path / "run [v2]*" / "model?", "~/run [v2]*/model?", "$MODELS/model?"):
        assert main(["inspect", str(path)]) == 0, path
    assert main(["inspect", "$NO_SUCH_VARIABLE/model"]) == 2


def test_missing_shards_are_counted_and_named(tmp_path: Path, capsys: Capture) -> None:
    folder = write(tmp_path / "model", pruned(0.2), shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    (folder / "model-00003-of-00003.safetensors").unlink()
    assert main(["inspect", str(folder)]) == 2
    err = capsys.readouterr().err
    assert "2 of 3 shards are missing" in err
    assert "model-00003-of-00003.safetensors" in err


def test_one_file_beside_an_index_is_read_and_said(tmp_path: Path, capsys: Capture) -> None:
    folder = write(tmp_path / "model", pruned(0.2), shards=2)
    save_file(llama(), folder / "model.safetensors")
    assert main(["inspect", str(folder), "--claim", "sparsity=0"]) == 0
    assert "note: model.safetensors was read" in capsys.readouterr().out
