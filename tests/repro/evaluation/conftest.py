"""A trained run, and a Hugging Face folder with weights and a tokenizer of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from repro.__main__ import main
from repro.corpus import Corpus
from repro.corpus.bpe import train_bpe
from repro.resources import Resources
from repro.spec import EvalSpec, ModelSpec, OptimizerSpec, PruningSpec, RunSpec
from repro.store.folder import Folder
from repro.training import train
from tests.conftest import SEQUENCE, TEXT, VOCAB

CONTEXT = 48
OTHER_VOCAB = 350


def sparse_spec(run_id: str = "sparse", precision: str = "fp32") -> RunSpec:
    return RunSpec(
        run_id,
        "6k",
        "short",
        ModelSpec(8, 2, 1, 32, VOCAB, SEQUENCE),
        TEXT,
        OptimizerSpec(5e-3, 4),
        PruningSpec(0.8, shape="geometric", interval=4),
        30,
        precision=precision,  # type: ignore[arg-type]
        evaluation=EvalSpec(blocks=64, block_sequences=2),
    )


@pytest.fixture(scope="session")
def results(text: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one trained run, as a sweep leaves it but for sweep.json."""
    from repro import tables

    folder = tmp_path_factory.mktemp("results") / "tiny"
    train.train(sparse_spec(), Folder.open(folder / "runs" / "sparse"), text, Resources())
    tables.collect(Folder.open(folder), "tiny", {"sparse": ["law"]})
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of its own vocabulary, whose tokenizer puts BOS before a text and nothing after it."""
    folder = tmp_path_factory.mktemp("published") / "model"
    tokenizer = train_bpe([list(topics.values())[:20]], OTHER_VOCAB).backend
    tokenizer.post_processor = TemplateProcessing("<bos> $A", special_tokens=[("<bos>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=OTHER_VOCAB,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def evaluate(text: Corpus, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """The verb with --json; what it says."""

    def call(*words: object) -> dict[str, Any]:
        code = main(["evaluate", *map(str, words), "--corpus", str(text.folder.parent), "--json"])
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out)

    return call
