"""Configurations and model cards of any content cost `inspect` little, and run nothing."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from repro.__main__ import main
from tests.repro.models.hand_made import LINEAR, pruned, write

Capture = pytest.CaptureFixture[str]


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
    assert "a number too large for any model" in capsys.readouterr().err


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
