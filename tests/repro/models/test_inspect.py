"""`inspect` finds what a model's weights are and says which claim is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from repro.__main__ import main
from repro.models import bitmask
from tests.repro.models.hand_made import (
    LINEAR,
    SHAPES,
    TOTAL,
    entry,
    header,
    linears,
    llama,
    prune,
    prune_groups,
    pruned,
    write,
)

Capture = pytest.CaptureFixture[str]


def inspected(path: Path | str, capsys: Capture, *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["inspect", str(path), "--json", *words])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(
    ("sparsity", "dtype"),
    [(0.2, torch.float32), (0.4, torch.bfloat16), (0.6, torch.float16), (0.8, torch.bfloat16)],
)
def test_counts_of_models_made_by_hand(
    sparsity: float, dtype: torch.dtype, shards: int, tmp_path: Path, capsys: Capture
) -> None:
    state = pruned(sparsity, dtype)
    code, found = inspected(write(tmp_path / "model", state, shards), capsys)
    nonzero = {name: int(state[name].count_nonzero()) for name in linears(state)}
    assert code == 0
    assert (found["linear_params"], found["total_params"]) == (LINEAR, TOTAL)
    assert found["nonzero_linear_params"] == sum(nonzero.values())
    assert found["sparsity"] == pytest.approx(sparsity, abs=1e-4)
    assert (found["structure"], found["tied_embeddings"]) == ("unstructured", False)
    assert {layer["name"]: layer["nonzero"] for layer in found["layers"]} == nonzero
    for layer in found["layers"]:
        assert layer["sparsity"] == pytest.approx(sparsity, abs=1e-4)
        assert tuple(layer["shape"]) == tuple(state[layer["name"]].shape)


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (1, 2), (4, 8), (3, 16), (7, 32)])
def test_a_structure_is_found_and_the_finest_is_named(n: int, m: int, tmp_path: Path, capsys: Capture) -> None:
    state = llama()
    for name in linears(state):
        if name != "lm_head.weight":
            prune_groups(state[name], n, m)
    code, found = inspected(write(tmp_path / "model", state), capsys, "--claim", f"structure={n}:{m}")
    assert code == 0
    assert found["structure"] == f"{n}:{m}"
    assert {layer["name"]: layer["structure"] for layer in found["layers"]} == {
        name: "dense" if name == "lm_head.weight" else f"{n}:{m}" for name in linears(state)
    }


def test_one_group_with_a_weight_too_many_is_no_structure(tmp_path: Path, capsys: Capture) -> None:
    state = llama()
    for name in linears(state):
        prune_groups(state[name], 2, 4)
    state["lm_head.weight"].view(-1, 4)[-1] = 1
    _, found = inspected(write(tmp_path / "model", state), capsys)
    structures = {layer["name"]: layer["structure"] for layer in found["layers"]}
    assert structures.pop("lm_head.weight") == "unstructured"
    assert set(structures.values()) == {"2:4"}
    assert found["structure"] == "unstructured"


def test_layers_that_are_pruned_differently_are_told_apart(tmp_path: Path, capsys: Capture) -> None:
    state = llama()
    prune(state["model.layers.1.mlp.up_proj.weight"], 0.75)
    prune_groups(state["model.layers.2.self_attn.q_proj.weight"], 2, 4)
    state["model.layers.0.mlp.up_proj.weight"].mul_(-1)[0, 0] = -0.0
    assert main(["inspect", str(write(tmp_path / "model", state))]) == 0
    head, *rows = capsys.readouterr().out.split("\n\n")[1].splitlines()
    shown = {row.split()[0]: row for row in rows}
    assert head.split() == ["layer", *(name.split(".")[1] for name in SHAPES)]
    assert list(shown) == ["0", "1", "2", "lm_head"]
    assert "75.00%" in shown["1"]
    assert "50.00% 2:4" in shown["2"]
    assert "0.01%" in shown["0"], "-0.0 is a zero"


def test_the_compact_layout_is_counted_alike(tmp_path: Path, capsys: Capture) -> None:
    state = pruned(0.8, torch.bfloat16)
    _, dense = inspected(write(tmp_path / "dense", state), capsys)
    folder = write(tmp_path / "compact", {"model.norm.weight": state["model.norm.weight"]})
    (folder / "model.safetensors").unlink()
    packed = {k: v for name in linears(state) for k, v in bitmask.encoded(name, state[name]).items()}
    rest = {name: weight for name, weight in state.items() if name not in linears(state)}
    save_file(packed | rest, folder / "sparse-bitmask.safetensors")
    assert inspected(folder, capsys)[1] == dense | {"model": str(folder)}
    packed["lm_head.bitmask"][0, 0] ^= 1
    save_file(packed | rest, folder / "sparse-bitmask.safetensors")
    assert main(["inspect", str(folder)]) == 2
    assert "don't match" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "config", "tied"),
    [
        (LlamaForCausalLM, LlamaConfig, False),
        (LlamaForCausalLM, LlamaConfig, True),
        (Qwen2ForCausalLM, Qwen2Config, True),
        (Qwen2ForCausalLM, Qwen2Config, False),
        (Qwen3ForCausalLM, Qwen3Config, True),
    ],
)
def test_what_transformers_saves_has_the_counts_of_its_modules(
    kind: Any, config: Any, tied: bool, tmp_path: Path, capsys: Capture
) -> None:
    """Grouped queries, biases, norms of queries and keys; a tied head is no linear layer of its own."""
    small = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 100}
    torch.manual_seed(0)  # of random weights one in ten million is a zero
    network = kind(config(**small, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=tied))
    network.save_pretrained(tmp_path / "model", max_shard_size="100KB")
    assert (tmp_path / "model" / "model.safetensors.index.json").exists()
    layers = {n: m.weight.numel() for n, m in network.named_modules() if isinstance(m, torch.nn.Linear)}
    if tied:
        del layers["lm_head"]
    code, found = inspected(tmp_path / "model", capsys)
    assert code == 0
    assert {layer["name"].removesuffix(".weight"): layer["params"] for layer in found["layers"]} == layers
    assert found["total_params"] == sum(p.numel() for p in network.parameters())
    assert found["tied_embeddings"] is tied
    assert (found["structure"], found["sparsity"]) == ("dense", 0)


def test_a_wrong_claim_is_named_and_the_others_hold(tmp_path: Path, capsys: Capture) -> None:
    folder, state = tmp_path / "model", pruned(0.8)
    nonzero = sum(int(state[name].count_nonzero()) for name in linears(state))
    write(folder, state)
    right = [f"linear={LINEAR}", f"total={TOTAL / 1e3:.1f}K", f"nonzero={nonzero:,}", "sparsity=80%"]
    right += ["structure=unstructured", f"average={LINEAR // 2}"]
    assert main(["inspect", str(folder), "--claim", *right]) == 0
    assert "WRONG" not in capsys.readouterr().out
    for wrong in (
        f"linear={LINEAR + 1}",
        f"total={TOTAL / 1e3 + 0.1:.1f}K",
        "nonzero=1M",
        "sparsity=.79",
        "structure=2:4",
        f"average={nonzero - 1}",
        f"average={LINEAR + 1}",
    ):
        name = wrong.partition("=")[0]
        assert main(["inspect", str(folder), "--claim", *(c for c in right if not c.startswith(name)), wrong]) == 1
        [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WRONG")]
        assert line.split()[1].startswith(name)


def test_the_claims_of_a_card_are_held_against_the_weights(tmp_path: Path, capsys: Capture) -> None:
    folder = write(tmp_path / "model", pruned(0.6))
    card = "---\ntags: [sparse]\nclaims:\n  linear_params: {}\n  sparsity: 0.6\n---\n# A model\n"
    (folder / "README.md").write_text(card.format(LINEAR))
    assert inspected(folder, capsys)[0] == 0
    (folder / "README.md").write_text(card.format(LINEAR - 1))
    code, found = inspected(folder, capsys)
    assert code == 1
    assert [(c["claim"], c["agrees"]) for c in found["claims"]] == [("linear_params", False), ("sparsity", True)]
    assert inspected(folder, capsys, "--claim", f"linear={LINEAR}")[0] == 0  # who asks knows better
    (folder / "README.md").write_text("---\nclaims: {weight: 3}\n---\n")
    assert main(["inspect", str(folder)]) == 2
    assert "weight" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["sparse=.8"], ["sparsity"], ["linear=a lot"], ["linear=1", "linear=2"]])
def test_a_claim_that_is_none_is_refused(words: list[str], tmp_path: Path, capsys: Capture) -> None:
    folder = write(tmp_path / "model", pruned(0.2))
    assert main(["inspect", str(folder), "--claim", *words]) == 2
    assert "--claim" in (err := capsys.readouterr().err) or "linear" in err


# ------------------------------------------------------------------------------------- files not to be trusted


def test_it_needs_neither_torch_nor_transformers(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", pruned(0.4, torch.bfloat16))
    code = "import sys; sys.modules |= dict.fromkeys(('torch', 'transformers', 'ray', 'deepspeed'))\n"
    code += f"from repro.__main__ import main; sys.exit(main(['inspect', {str(folder)!r}, '--claim', 'sparsity=.4']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_id_is_read_where_the_hub_keeps_what_it_fetched(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As links to blobs elsewhere in the cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cache, commit = tmp_path / "hub" / "models--org--name", "0123456789abcdef0123456789abcdef01234567"
    whole = write(tmp_path / "model", pruned(0.6, torch.bfloat16), shards=2)
    for folder in ("refs", "blobs", f"snapshots/{commit}"):
        (cache / folder).mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit)
    for i, file in enumerate(sorted(whole.iterdir())):
        file.rename(cache / "blobs" / str(i))
        (cache / "snapshots" / commit / file.name).symlink_to(f"../../blobs/{i}")
    code, found = inspected("org/name", capsys)
    assert code == 0
    assert found["sparsity"] == pytest.approx(0.6, abs=1e-4)
    assert main(["inspect", "org/other"]) == 2
    assert "org/other" in capsys.readouterr().err


@pytest.mark.parametrize(
    "card",
    ["---\nclaims: [\n---\n", "---\nclaims: 3\n---\n", "---\na: 2024-99-99\n---\n", "---\n" + "[" * 9999 + "\n---\n"],
)
def test_a_card_that_cannot_be_read_is_refused(card: str, tmp_path: Path, capsys: Capture) -> None:
    folder = write(tmp_path / "model", pruned(0.2))
    (folder / "README.md").write_text(card)
    assert main(["inspect", str(folder)]) == 2
    assert "README.md" in capsys.readouterr().err


# Eight billion parameters: a Llama 3.1 8B in bfloat16, as four files that are nearly all hole.
BIG = {"hidden": 4096, "mlp": 14336, "layers": 32, "vocab": 128256, "kv": 1024}


def eight_billion(folder: Path) -> dict[str, tuple[int, ...]]:
    """Writes it; of each linear weight the first number of each row is not zero. Returns the shapes."""
    d, mlp, kv, vocab = BIG["hidden"], BIG["mlp"], BIG["kv"], BIG["vocab"]
    block = {"self_attn.q_proj": (d, d), "self_attn.k_proj": (kv, d), "self_attn.v_proj": (kv, d)}
    block |= {"self_attn.o_proj": (d, d), "mlp.gate_proj": (mlp, d), "mlp.up_proj": (mlp, d), "mlp.down_proj": (d, mlp)}
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocab, d), "lm_head.weight": (vocab, d)}
    for i in range(BIG["layers"]):
        shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in block.items()}
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "tie_word_embeddings": false}')
    where = {name: f"model-{i % 4 + 1:05}-of-00004.safetensors" for i, name in enumerate(shapes)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    for file in set(where.values()):
        entries, at = {}, 0
        for name in (name for name in shapes if where[name] == file):
            rows, columns = shapes[name]
            entries[name] = entry(at, at + 2 * rows * columns, shapes[name], "BF16")
            at += 2 * rows * columns
        start = len(header(entries, 0))
        with (folder / file).open("wb") as stream:
            stream.write(header(entries, 0))
            stream.truncate(start + at)
            for name, said in entries.items():
                for row in range(0, shapes[name][0], 256):
                    stream.seek(start + said["data_offsets"][0] + row * shapes[name][1] * 2)
                    stream.write(b"\x80\x3f")
    return shapes


@pytest.mark.full
def test_eight_billion_parameters_need_less_than_two_gib(tmp_path: Path) -> None:
    shapes = eight_billion(tmp_path / "big")
    code = "import resource, sys; from repro.__main__ import main\n"
    code += f"code = main(['inspect', {str(tmp_path / 'big')!r}, '--json'])\n"
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    layers = {name: shape for name, shape in shapes.items() if "embed" not in name}
    assert found["linear_params"] == sum(rows * columns for rows, columns in layers.values()) > 7.5e9
    assert found["total_params"] == sum(rows * columns for rows, columns in shapes.values()) > 8e9
    assert found["nonzero_linear_params"] == sum(-(-rows // 256) for rows, _ in layers.values())
    peak = int(done.stderr.split()[-1]) * 1024
    print(f"peak {peak / 2**20:,.0f} MiB")
    assert peak < 2 * 2**30
