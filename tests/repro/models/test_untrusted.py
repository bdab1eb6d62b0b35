"""`inspect` refuses what it can't trust."""

from __future__ import annotations

import io
import json
import os
import pickle
import time
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
from tests.repro.models.hand_made import LINEAR, entry, header, llama, pruned, write

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
    assert "not a whole safetensors file" in err
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


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 4_000, "hidden_size": 64, "num_attention_heads": 4},
        {"hidden_size": 10**30},
        {"vocab_size": 10**18, "num_hidden_layers": 3},
        {"num_attention_heads": 10**7},
        {"text_config": {"num_hidden_layers": 10**8}},
        {"layer_types": ["full_attention"] * 2_000_000},
        {"rope_scaling": [[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]},
        {"hidden_size": "__import__('os').system('true')"},
        {"hidden_size": -64},
        {"num_hidden_layers": None},
        {"to_dict": "x", "__class__": "x", "_commit_hash": 3},
    ],
)
def test_a_config_of_any_numbers_takes_little_and_ends_in_a_count_or_a_message(
    config: dict[str, Any], tmp_path: Path, capsys: Capture
) -> None:
    folder = write(tmp_path / "model", pruned(0.2), **config)
    code = main(["inspect", str(folder), "--json"])
    out, err = capsys.readouterr()
    assert code == 2 if err else json.loads(out)["linear_params"] == LINEAR
    assert "Traceback" not in err


@pytest.mark.parametrize("kind", ["mixtral", "deepseek_v3", "t5", "bert", "llava", "flaubert", "swin"])
def test_a_hostile_size_of_any_kind_is_refused(kind: str, tmp_path: Path, capsys: Capture) -> None:
    sizes = ("num_hidden_layers", "num_layers", "n_layers", "num_local_experts", "n_routed_experts", "depths")
    config = {"depths": [10**9], **dict.fromkeys(sizes[:-1], 10**9)}
    assert main(["inspect", str(write(tmp_path / "model", pruned(0.2), 1, model_type=kind, **config))]) == 2
    assert "a number that no model has" in capsys.readouterr().err


def test_code_that_a_config_names_is_never_run(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = tmp_path / "proof"
    named = {"AutoConfig": "code.Config", "AutoModel": "code.Model", "AutoModelForCausalLM": "code.Model"}
    for kind in ("llama", "llama_of_mine"):
        folder = write(tmp_path / kind, pruned(0.2), model_type=kind, auto_map=named, architectures=["Model"])
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"attn_implementation": "evil/kernel"}))
        (folder / "code.py").write_text(f"import os; os.mkdir({str(proof)!r})\nclass Config: ...\nclass Model: ...\n")
        with monkeypatch.context() as typed:
            typed.setattr("sys.stdin", io.StringIO("y\n" * 9))
            main(["inspect", str(folder)])
            main(["evaluate", str(folder), str(folder / "code.py"), "--device", "cpu"])
    assert not proof.exists()


def test_numbers_of_a_file_that_shrinks_are_not_made_up(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"w": torch.ones(64, 64)}, file)
    tensor = read_header(file)["w"]
    os.truncate(file, file.stat().st_size - 8)
    with pytest.raises(UserError, match="became shorter"):
        list(tensor.stretches())


HOSTILE_CARDS = {
    "dashes and newlines": "---" + "\n" * 400_000,
    "spaces after dashes": "---" + " " * 400_000 + "x",
    "no end": "---\n" + "a: 1\n" * 100_000,
    "one endless line": "---\na: " + "9" * 500_000,
    "many ends that are none": "---\n" + "---x\n" * 60_000,
    "references": "---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\n",
    "merges": "---\na: &a {x: 1}\nb: &b {<<: [*a, *a, *a]}\n---\n",
    "a claim of a megabyte": "---\nclaims: {sparsity: '" + "9" * 200_000 + "'}\n---\n",
    "a claim that moves the cursor": '---\nclaims: {structure: "\\e[2J"}\n---\n',
    "a claim of hexadecimal digits": "---\nclaims: {sparsity: 0x" + "f" * 20_000 + "}\n---\n",
    "an infinite claim": "---\nclaims: {linear_params: .inf}\n---\n",
    "a claim of no number": "---\nclaims: {linear_params: .nan}\n---\n",
    "python": "---\nclaims: !!python/object/apply:os.mkdir [proof]\n---\n",
}


@pytest.mark.parametrize("card", HOSTILE_CARDS.values(), ids=HOSTILE_CARDS)
def test_a_card_of_any_text_takes_little_time(card: str, tmp_path: Path, capsys: Capture) -> None:
    folder = write(tmp_path / "model", pruned(0.2))
    (folder / "README.md").write_text(card)
    started = time.process_time()
    code = main(["inspect", str(folder)])
    assert time.process_time() - started < 5
    err = capsys.readouterr().err
    assert code == 2 if err else code == 0
    assert "\x1b" not in err
    assert len(err) < 2000


@pytest.mark.parametrize(
    "stated", ["nan", "inf", "-inf", "1e999999999", "1" * 100_000, "1,_" * 30_000, "", " ", "0x10", "١"]
)
def test_a_claim_that_is_no_number_is_refused_at_once(stated: str, tmp_path: Path, capsys: Capture) -> None:
    folder = write(tmp_path / "model", pruned(0.2))
    started = time.process_time()
    assert main(["inspect", str(folder), "--claim", f"linear={stated}"]) == 2
    assert time.process_time() - started < 5
    assert "not a number" in capsys.readouterr().err
