"""`inspect` refuses what it can't trust."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from repro.__main__ import main
from repro.errors import UserError
from repro.models.tensors import read_header
from tests.repro.models.hand_made import entry, header, llama, pruned, write

Capture = pytest.CaptureFixture[str]


class Run:
    """Would run a command when it is unpickled."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.proof),)


BROKEN = {
    "a file that ends early": header({"w": entry(0, 16)}, 15),
    "bytes after the last tensor": header({"w": entry(0, 16)}, 17),
    "a header longer than the file": (1000).to_bytes(8, "little") + b"{}",
    "a header of terabytes": (2**42).to_bytes(8, "little") + b"{}",
    "nothing": b"",
    "no JSON": header("{'w': 1}"),
    "no mapping": header("[1, 2]"),
    "JSON too deep": header("[" * 100_000),
    "a hole": header({"v": entry(0, 4, (1,)), "w": entry(8, 16, (2,))}),
    "an overlap": header({"v": entry(0, 16), "w": entry(8, 16, (2,))}),
    "data that begins before the file": header({"w": entry(-16, 0)}),
    "data past the file": header({"w": entry(0, 1 << 40, (1 << 38,))}),
    "another shape than bytes": header({"w": entry(0, 16, (2, 3))}),
    "a negative shape": header({"w": entry(0, 16, (-2, -2))}),
    "a shape of fractions": header({"w": entry(0, 16, (2.0, 2.0))}),
    "an unknown kind": header({"w": entry(0, 16, dtype="F99")}),
    "no offsets": header({"w": {"dtype": "F32", "shape": [2, 2]}}),
    "a shape of 1e18": header({"w": entry(0, 16, (10**18, 10**18, 10**18))}),
    "a kind that is no text": header({"w": entry(0, 16) | {"dtype": ["F32"]}}),
}
# What the format's own reader lets pass, or can't say.
BROKEN_TOO = {
    "a shape of a thousand dimensions": header({"w": entry(0, 4, (1,) * 1000)}),
    "a product of thousands of digits": header({"w": entry(0, 16, (10**17,) * 400)}),
    "a number of thousands of digits": header(
        '{"w": {"dtype": "F32", "data_offsets": [0, 4], "shape": [1%s]}}' % ("0" * 5000)
    ),
    "a name that moves the cursor": header({"\x1b[2Jw": entry(0, 16)}),
    "a name of a megabyte": header({"w" * 2**20: entry(0, 16)}),
    "a header of 40 MB": header(" " * 40_000_000),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_as_the_formats_own_reader_refuses_it(
    data: bytes, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(data)
    assert main(["inspect", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
    with pytest.raises(SafetensorError), safe_open(file, framework="pt"):
        pass


@pytest.mark.parametrize("data", BROKEN_TOO.values(), ids=BROKEN_TOO)
def test_what_would_take_memory_or_the_terminal_is_refused(data: bytes, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(data)
    assert main(["inspect", str(file)]) == 2
    err = capsys.readouterr().err
    assert "an incomplete safetensors file" in err
    assert "\x1b" not in err
    assert len(err) < 2000


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    one = json.dumps(entry(0, 16))
    file.write_bytes(header(f'{{"w": {one}, "w": {one}}}'))
    assert main(["inspect", str(file)]) == 2


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "consolidated.pth"])
def test_a_pickle_is_never_read_whatever_its_name(name: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "model").mkdir()
    data = pickle.dumps(Run(tmp_path / "proof"))
    (tmp_path / "model" / name).write_bytes(data)
    for path in (tmp_path / "model", tmp_path / "model" / name):
        assert main(["inspect", str(path)]) == 2
        assert "error:" in capsys.readouterr().err
    assert not (tmp_path / "proof").exists()
    pickle.loads(data)
    assert (tmp_path / "proof").exists(), "the pickle was harmless, so this test showed nothing"


@pytest.mark.parametrize(
    "name",
    ["../outside.safetensors", "/etc/passwd", "sub/../../outside.safetensors", "missing.safetensors", "model.bin"],
)
def test_an_index_that_names_anything_but_shards_beside_it_is_refused(
    name: str, tmp_path: Path, capsys: Capture
) -> None:
    folder = write(tmp_path / "model", pruned(0.2), shards=2)
    save_file({"lm_head.weight": torch.ones(2, 2)}, tmp_path / "outside.safetensors")
    (folder / "sub").mkdir()
    index = folder / "model.safetensors.index.json"
    said = json.loads(index.read_text())
    said["weight_map"]["lm_head.weight"] = name
    index.write_text(json.dumps(said))
    assert main(["inspect", str(folder)]) == 2
    assert name in capsys.readouterr().err


def test_shards_and_index_that_disagree_are_refused(tmp_path: Path, capsys: Capture) -> None:
    folder = write(tmp_path / "model", pruned(0.2), shards=2)
    index = folder / "model.safetensors.index.json"
    whole = json.loads(index.read_text())
    for weights in (
        {k: v for k, v in whole["weight_map"].items() if k != "lm_head.weight"},
        whole["weight_map"] | {"more.weight": "model-00001-of-00002.safetensors"},
        {},
        {"lm_head.weight": 3},
        ["lm_head.weight"],
    ):
        index.write_text(json.dumps({"weight_map": weights}))
        assert main(["inspect", str(folder)]) == 2
        assert "weight_map" in capsys.readouterr().err
    assert main(["inspect", str(folder / "model-00001-of-00002.safetensors")]) == 2
    assert "one shard of several" in capsys.readouterr().err


def test_quantised_weights_and_models_without_a_linear_layer_are_refused(tmp_path: Path, capsys: Capture) -> None:
    state = llama()
    state["lm_head.weight"] = state["lm_head.weight"].to(torch.int8)
    assert main(["inspect", str(write(tmp_path / "quantised", state))]) == 2
    assert "lm_head.weight" in capsys.readouterr().err
    only = {"model.embed_tokens.weight": torch.ones(4, 4)}
    assert main(["inspect", str(write(tmp_path / "embedding", only))]) == 2
    assert main(["inspect", str(tmp_path / "nothing")]) == 2


def test_numbers_of_a_file_that_shrinks_are_not_made_up(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"w": torch.ones(64, 64)}, file)
    tensor = read_header(file)["w"]
    os.truncate(file, file.stat().st_size - 8)
    with pytest.raises(UserError, match="became shorter"):
        list(tensor.stretches())
