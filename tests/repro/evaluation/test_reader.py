"""Bytes and words of a text are those of its tokens, whoever cuts it."""

from __future__ import annotations

from pydoc_data.topics import topics

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from repro.corpus import Corpus
from repro.evaluation.reader import TextReader, added

TEXTS = ["one two  three\n", "é 漢字 😀 x", "  ", "<eos> is text", next(iter(topics.values()))[:2000] + " \n "]


def by_white_space() -> TextReader:
    """A tokenizer that leaves white space out and knows no word."""
    backend = Backend(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return TextReader(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]"))


def test_sums_over_tokens_are_the_documents_own(text: Corpus) -> None:
    for reader in (TextReader.of(text.tokenizer), by_white_space()):
        for document, tokens in zip(TEXTS, reader.read(TEXTS), strict=True):
            if len(tokens.ids):
                assert tokens.bytes.sum() == len(document.encode())
                assert tokens.words.sum() == len(document.split())


def test_a_run_reads_text_as_it_was_trained(text: Corpus) -> None:
    for document, tokens in zip(TEXTS, TextReader.of(text.tokenizer).read(TEXTS), strict=True):
        trained, _ = text.tokenizer.encode_batch([document], np.dtype(np.uint32))
        assert np.array_equal(tokens.ids, trained[:-1])  # all but its EOS
        assert tokens.bytes[0] == 0


def test_a_document_that_was_cut_short_keeps_its_bytes(text: Corpus) -> None:
    reader = TextReader.of(text.tokenizer)
    whole, _ = text.tokenizer.encode_batch([TEXTS[-1]], np.dtype(np.uint32))
    for length in range(1, 40):
        ids = whole[1 : 1 + length]
        document = text.tokenizer.decode(ids.tolist())
        [tokens] = reader.measure([document], [ids])
        assert np.array_equal(tokens.ids, ids)
        assert tokens.bytes.sum() == len(document.encode())
        assert tokens.words.sum() == len(document.split())


@pytest.mark.parametrize(
    ("ends", "sizes", "words"),
    [([1, 3, 5], [2, 4, 5], [1, 1, 1]), ([0, 5, 5], [0, 11, 0], [0, 3, 0]), ([3, 2, 5], [6, 0, 5], [2, 0, 1])],
)
def test_a_token_adds_what_no_token_before_it_reached(ends: list[int], sizes: list[int], words: list[int]) -> None:
    of_bytes, of_words = added("é 漢 😀", np.array(ends))
    assert (of_bytes.tolist(), of_words.tolist()) == (sizes, words)
