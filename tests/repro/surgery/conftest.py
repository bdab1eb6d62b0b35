"""A small published model and a text, for commands."""

from __future__ import annotations

from pathlib import Path
from pydoc_data.topics import topics

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from repro.corpus.bpe import train_bpe
from tests.repro.surgery.nets import PUBLISHED, random_net


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 4 blocks with grouped queries, a tied head and a tokenizer."""
    folder = tmp_path_factory.mktemp("published") / "model"
    tokenizer = train_bpe([list(topics.values())[:20]], PUBLISHED.vocab).backend
    tokenizer.post_processor = TemplateProcessing("<bos> $A", special_tokens=[("<bos>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>").save_pretrained(folder)
    random_net(PUBLISHED).network().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("words") / "words.txt"
    file.write_text("\n".join(list(topics.values())[:4]))
    return file
