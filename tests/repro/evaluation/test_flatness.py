"""Hutchinson's estimate against the trace of a Hessian that is computed in full."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call, hessian
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from repro import tables
from repro.__main__ import main
from repro.corpus import Corpus
from repro.evaluation import flatness, windows
from repro.evaluation.flatness import EVERYTHING, LINEAR, Trace
from repro.evaluation.texts import Text
from repro.store.folder import Folder
from repro.training.model import prunable
from tests.repro.evaluation.prose import PROSE

pytestmark = pytest.mark.slow

VOCAB, WINDOW, VECTORS = 11, 7, 120


@pytest.fixture(scope="module")
def tiny() -> Any:
    """A Llama of 236 weights, a third of whose linear layers is removed."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=4,
        intermediate_size=6,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        initializer_range=0.6,
    )
    network = LlamaForCausalLM(config)
    with torch.no_grad():
        for weight in prunable(network).values():
            weight.mul_(torch.rand_like(weight) > 1 / 3)
    return network


@pytest.fixture(scope="module")
def stream() -> Text:
    ids = np.random.default_rng(0).integers(0, VOCAB, 45)
    ones = [np.ones(len(ids), np.int64)]
    return Text("drawn", "0", "concatenate", WINDOW, [ids], ones, ones)


@pytest.fixture(scope="module")
def cut(stream: Text) -> np.ndarray:
    return windows.cut([len(stream.documents[0])], WINDOW, WINDOW)


@pytest.fixture(scope="module")
def exact(tiny: Any, stream: Text, cut: np.ndarray) -> dict[str, torch.Tensor]:
    """The Hessian over the weights that are there, (n, n), and over those of linear layers alone.

    In forward over reverse mode on the eager attention: nothing of what is tested.
    """
    tiny.set_attn_implementation("eager")
    named = {name: weight.detach() for name, weight in tiny.named_parameters()}
    sizes = [weight.numel() for weight in named.values()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        weights = {n: part.view(named[n].shape) for n, part in zip(named, flat.split(sizes), strict=True)}
        nats = []
        for _, start, new, stop in cut.tolist():
            ids = torch.from_numpy(stream.documents[0][start:stop])
            logits = functional_call(tiny, weights, kwargs={"input_ids": ids[None, :-1], "use_cache": False}).logits
            nats.append(F.cross_entropy(logits[0], ids[1:], reduction="none")[new - start - 1 :])
        return torch.cat(nats).mean()

    flat = torch.cat([weight.flatten() for weight in named.values()])
    whole = hessian(loss)(flat).detach().double()
    tiny.set_attn_implementation("sdpa")
    linear = torch.cat([torch.full((named[n].numel(),), n in prunable(tiny)) for n in named])
    there = ~linear | (flat != 0)
    return {"all": whole[there][:, there], "linear": whole[there & linear][:, there & linear]}


def test_the_mean_over_vectors_is_the_trace_and_their_spread_that_of_signs(
    tiny: Any, stream: Text, cut: np.ndarray, exact: dict[str, torch.Tensor]
) -> None:
    told: list[int] = []
    found = flatness.products(tiny, stream, cut, VECTORS, (0,), told.append)
    assert sum(told) == VECTORS * int((cut[:, windows.STOP] - cut[:, windows.NEW]).sum())
    counts = flatness.kept(tiny)
    assert counts == (len(exact["all"]), len(exact["linear"]))
    for column, name in ((EVERYTHING, "all"), (LINEAR, "linear")):
        trace = Trace.of(found[:, column], counts[column])
        assert abs(trace.value - float(exact[name].trace())) < 3 * trace.se
        if name == "all":  # the variance of v^T H v of signs: twice the squares off the diagonal
            off = exact[name] - exact[name].diag().diag()
            assert trace.se * math.sqrt(VECTORS) == pytest.approx(math.sqrt(2 * float((off**2).sum())), rel=0.25)


def test_one_vectors_product_is_that_with_the_full_hessian_whatever_the_batches(
    tiny: Any, stream: Text, cut: np.ndarray, exact: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = dict(tiny.named_parameters())
    signs = flatness._signs(named, prunable(tiny).keys(), (5, 0))
    v = torch.cat([sign.flatten() for sign in signs.values()]).double()
    v = v[v != 0]
    assert len(v) == len(exact["all"])
    once = flatness.products(tiny, stream, cut, 1, (5,))
    assert once[0, EVERYTHING] == pytest.approx(float(v @ exact["all"] @ v), rel=1e-4)
    monkeypatch.setattr(flatness, "LOGITS", 2 * WINDOW * VOCAB)
    assert flatness.products(tiny, stream, cut, 1, (5,)) == pytest.approx(once, rel=1e-5)


def test_a_ratio_has_the_errors_of_both() -> None:
    one, other = Trace(6.0, 0.3, 10), Trace(3.0, 0.06, 20)
    assert one.over(other) == (2.0, pytest.approx(2 * math.hypot(0.05, 0.02)))


def test_the_verb_compares_runs_and_models_on_one_text(
    results: Path, published: Path, text: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.joinpath("prose.txt").write_text(PROSE[:3000])
    run = str(results / "runs" / "sparse")
    words = ["flatness", run, run, str(published), str(tmp_path / "prose.txt"), "--vectors", "3", "--max-tokens", "400"]
    words += ["--corpus", str(text.folder.parent)]
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    sparse, again, other = json.loads(said.out)
    assert "3 vectors" in said.err
    assert sparse["fingerprint"] is not None
    assert other["fingerprint"] is None
    assert sparse["precision"] == other["precision"] == "fp32"
    [trained] = tables.read(Folder.open(run), "run.parquet").to_pylist()
    assert sparse["linear_weights"] == trained["N_final"] < trained["N_prunable"]
    assert sparse["trace_weights"] - sparse["linear_weights"] == trained["N_total"] - trained["N_prunable"]
    for row in (sparse, again, other):
        assert row["trace_per_weight"] == pytest.approx(row["trace"] / row["trace_weights"])
        assert row["of_first"] == pytest.approx(row["trace"] / sparse["trace"])
    assert again["loss"] == sparse["loss"]
    assert again["trace"] != sparse["trace"]  # vectors of its own
    assert main(words) == 0
    assert capsys.readouterr().out.count("±") == 3 * 4 + 2


def test_one_vector_has_no_error_and_is_refused(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["flatness", str(published), "prose.txt", "--vectors", "1"])
    assert stopped.value.code == 2
    assert "--vectors" in capsys.readouterr().err
