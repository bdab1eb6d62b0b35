"""`repro evaluate` says what a plain transformers loop says, of runs and of others' models."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from repro import tables
from repro.__main__ import main
from repro.corpus import Corpus
from repro.evaluation.scores import BLOCKS, Ratio
from repro.resources import Resources, Stage
from repro.store.folder import Folder
from repro.training import train
from tests import workers
from tests.conftest import SEQUENCE
from tests.repro.evaluation.conftest import CONTEXT, sparse_spec
from tests.repro.evaluation.prose import PROSE

pytestmark = pytest.mark.slow

Evaluate = Callable[..., dict[str, Any]]


@torch.no_grad()
def plain_loop(folder: Path, text: str, window: int, stride: int) -> tuple[float, int]:
    """Nats and tokens that transformers alone finds."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(text, return_tensors="pt").input_ids
    nats, scored, done = 0.0, 0, 0
    for start in range(0, ids.shape[1], stride):
        stop = min(start + window, ids.shape[1])
        labels = ids[:, start:stop].clone()
        labels[:, : max(0, done - start)] = -100
        asked = int((labels[:, 1:] != -100).sum())
        if asked:
            nats += asked * model(ids[:, start:stop], labels=labels).loss.item()
        scored, done = scored + asked, stop
        if stop == ids.shape[1]:
            break
    return nats, scored


@pytest.mark.parametrize(("window", "stride"), [(CONTEXT, CONTEXT), (CONTEXT + 1, 20), (17, 17), (10, 3)])
def test_perplexity_is_that_of_a_plain_loop(
    published: Path, evaluate: Evaluate, tmp_path: Path, window: int, stride: int
) -> None:
    prose = PROSE[-2500:]
    tmp_path.joinpath("prose.txt").write_text(prose)
    [row] = evaluate(published, tmp_path / "prose.txt", "--window", window, "--stride", stride)["evaluations"]
    nats, tokens = plain_loop(published, prose, window, stride)
    assert row["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-6)
    assert row["tokens"] == tokens
    assert row["windowing"] == ("disjoint" if window == stride else "sliding")
    if stride < window:
        assert row["bits_per_byte"] == pytest.approx(nats / math.log(2) / len(prose.encode()), rel=1e-6)
        assert row["word_perplexity"] == pytest.approx(math.exp(nats / len(prose.split())), rel=1e-5)


def test_documents_are_read_each_by_itself_whatever_file_they_came_in(
    published: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    documents = [topics[name][:1500] for name in list(topics)[:6]] + ["short", ""]
    lines = "".join(json.dumps({"body": document}) + "\n" for document in documents)
    tmp_path.joinpath("many.jsonl").write_text(lines)
    [row] = evaluate(published, tmp_path / "many.jsonl", "--text-field", "body", "--stride", 24)["evaluations"]
    parts = [plain_loop(published, document, CONTEXT, 24) for document in documents if document]
    assert row["loss"] == pytest.approx(sum(n for n, _ in parts) / sum(t for _, t in parts), rel=1e-6)
    assert row["documents"] == len(parts)
    assert row["packing"] == "documents"


def test_a_run_on_its_own_text_loses_what_its_table_says(
    results: Path, text: Corpus, evaluate: Evaluate, tmp_path: Path
) -> None:
    """The same rows, the masked weights and the steps done: to the last digits."""
    run = results / "runs" / "sparse"
    [trained] = tables.read(Folder.open(run), "run.parquet").to_pylist()
    sampled = 64 * 2 * SEQUENCE
    [row] = evaluate(run, text.folder, "--max-tokens", sampled, "--out", tmp_path)["evaluations"]
    assert row["loss"] == pytest.approx(trained["loss"], rel=1e-6)
    assert row["loss_blocks"] == pytest.approx(trained["loss_blocks"], rel=1e-5)
    assert row["loss_se"] == pytest.approx(trained["loss_se"], rel=1e-4)
    assert (row["step"], row["tokens"], row["packing"]) == (trained["total_steps"], sampled, "concatenate")
    assert row["corpus_hash"] == trained["corpus_hash"] == text.hash


def test_a_sweeps_yaml_names_its_held_out_text(results: Path, text: Corpus, evaluate: Evaluate, tmp_path: Path) -> None:
    tmp_path.joinpath("sweep.yaml").write_text(
        "corpus: {source: package, name: pydoc, heldout_fraction: 0.1}\nmodel: {vocab: 300, sequence: 32}\n"
    )
    run = results / "runs" / "sparse"
    out = ("--out", tmp_path)
    by_yaml, by_folder = (evaluate(run, place, *out) for place in (tmp_path / "sweep.yaml", text.folder))
    assert by_yaml == by_folder
    [row] = by_yaml["evaluations"]
    assert row["tokens"] == len(text.heldout) * SEQUENCE


def test_another_tokenizer_reads_the_same_bytes_of_a_corpus(
    published: Path, results: Path, text: Corpus, evaluate: Evaluate, tmp_path: Path
) -> None:
    own, other = (
        evaluate(model, text.folder, "--window", 33, "--stride", 32, "--out", tmp_path)["evaluations"][0]
        for model in (results / "runs" / "sparse", published)
    )
    assert (own["bytes"], own["words"]) == (other["bytes"], other["words"])
    assert own["tokens"] != other["tokens"]
    assert (own["packing"], other["packing"]) == ("concatenate", "documents")


def test_the_error_is_that_of_a_mean_of_blocks() -> None:
    rng = np.random.default_rng(0)
    losses = rng.normal(3, 1, BLOCKS)
    even = Ratio.of(losses * 10, np.full(BLOCKS, 10.0))
    assert even.value == pytest.approx(losses.mean())
    assert even.se == pytest.approx(losses.std(ddof=1) / BLOCKS**0.5)
    drawn = [Ratio.of(*_uneven(rng)) for _ in range(500)]
    assert np.mean([one.se for one in drawn]) == pytest.approx(np.std([one.value for one in drawn]), rel=0.1)


def _uneven(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    below = rng.integers(50, 150, BLOCKS).astype(float)
    return rng.normal(3, 0.5, BLOCKS) * below, below


def test_rows_are_kept_with_the_run_and_in_its_sweep(
    results: Path, text: Corpus, published: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    place = tmp_path / "tiny"
    shutil.copytree(results, place)
    sweep, run = Folder.open(place), place / "runs" / "sparse"
    wide = evaluate(run, text.folder)["evaluations"]
    evaluate(run, text.folder)
    narrow = evaluate(run, text.folder, "--stride", 8, "--max-tokens", 5000)["evaluations"]
    assert tables.read(Folder.open(run), "evaluations.parquet").to_pylist() == wide + narrow
    assert tables.read(sweep, "evaluations.parquet").to_pylist() == wide + narrow
    other = evaluate(published, text.folder, "--out", place)["evaluations"]
    tables.collect(sweep, "tiny", {"sparse": ["law"]})
    assert tables.read(sweep, "evaluations.parquet").to_pylist() == wide + narrow + other
    tables.collect(sweep, "tiny", {})
    assert tables.read(sweep, "evaluations.parquet").to_pylist() == other


def test_what_is_printed_says_how_it_was_read(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.joinpath("prose.txt").write_text(PROSE[:3000])
    for stride, said in ((CONTEXT, "windows of 48 tokens, of which the first is not scored"), (8, "sliding by 8")):
        assert (
            main(["evaluate", str(published), str(tmp_path / "prose.txt"), "--window", "48", "--stride", str(stride)])
            == 0
        )
        out = capsys.readouterr().out
        assert said in out
        assert out.count("±") == 4
        assert "kept nowhere" in out


def on_two_workers(folder: Path, corpus: Path, stage: Stage, precision: str) -> float:
    workers.join()
    resources = Resources(workers=2, zero_stage=stage)
    return train.train(sparse_spec(precision=precision), Folder.open(folder), Corpus(corpus), resources)["loss"]


@pytest.mark.full
@pytest.mark.parametrize(("stage", "precision"), [(1, "bf16"), (3, "fp32")])
def test_shards_of_any_stage_are_joined(
    stage: Stage, precision: str, text: Corpus, tmp_path: Path, evaluate: Evaluate
) -> None:
    trained, _ = workers.run(2, on_two_workers, tmp_path / "run", text.folder, stage, precision)
    [row] = evaluate(tmp_path / "run", text.folder, "--max-tokens", 64 * 2 * SEQUENCE)["evaluations"]
    assert row["loss"] == pytest.approx(trained, rel=1e-6 if precision == "fp32" else 1e-3)
    assert row["precision"] == precision
