"""Tokenizers that are trained on the corpus."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from repro.corpus import Corpus, build, describe
from repro.corpus.bpe import BOS, EOS, UNKNOWN, train_bpe, train_characters
from repro.corpus.tokenizer import Tokenizer
from repro.errors import UserError
from repro.spec import CorpusSpec

TEXTS = [
    f"the number {n} and the word {word}, then ask for more of it" for n in range(50) for word in ("sparse", "dense")
]
RARE = "a word with £ and 日本 in it"  # with three characters of which each is less than 1 in 100,000 of SOME
SOME = [TEXTS * 40, [RARE]]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_characters(SOME, 80)


def test_the_vocabulary_is_three_marks_the_common_characters_and_merges_up_to_its_size(tokenizer: Tokenizer) -> None:
    common = sorted(set("".join(TEXTS)))
    tokens = [tokenizer.backend.id_to_token(i) or "" for i in range(80)]
    assert tokenizer.vocab_size == 80
    assert tokens[: 3 + len(common)] == [BOS, EOS, UNKNOWN, *common]
    assert all(len(token) > 1 for token in tokens[3 + len(common) :])
    assert " the" in tokens
    assert (tokenizer.bos, tokenizer.eos, tokenizer.unknown) == (0, 1, 2)


@pytest.mark.parametrize("text", [TEXTS[0], "", "  more  \nof  it ", "dense sparse numbers", "the then"])
def test_text_of_common_characters_comes_back(tokenizer: Tokenizer, text: str) -> None:
    text = text.replace("\n", "")
    ids, _ = tokenizer.encode_batch([text], np.dtype(np.uint16))
    assert tokenizer.unknown not in ids
    assert tokenizer.decode(ids[1:-1].tolist()) == text
    assert tokenizer.for_transformers().decode(ids[1:-1].tolist()) == text


def test_every_other_character_is_one_unknown_token_and_a_text_that_spells_it_is_not(tokenizer: Tokenizer) -> None:
    ids, _ = tokenizer.encode_batch([RARE], np.dtype(np.uint16))
    assert Counter(ids.tolist())[2] == 3
    assert tokenizer.decode(ids[1:-1].tolist()) == "a word with <unk> and <unk><unk> in it"
    ids, _ = tokenizer.encode_batch(["<unk>"], np.dtype(np.uint16))
    assert ids.tolist().count(2) == 2  # of < and >, which are rare here; "unk" is text
    assert len(ids) > 4


def test_the_exported_tokenizer_has_the_same_tokens_and_knows_the_unknown_one(tokenizer: Tokenizer) -> None:
    exported = tokenizer.for_transformers(split_special_tokens=True)
    ids, _ = tokenizer.encode_batch([RARE], np.dtype(np.uint16))
    assert exported(RARE)["input_ids"] == ids[:-1].tolist()
    assert (exported.unk_token, exported.unk_token_id) == (UNKNOWN, 2)


def test_training_again_in_other_batches_gives_the_same_bytes(tokenizer: Tokenizer) -> None:
    assert train_characters([*SOME[:1], [], *SOME[1:]], 80).to_bytes() == tokenizer.to_bytes()


@pytest.mark.parametrize(
    ("train", "least"), [(train_bpe, "at least 258"), (train_characters, r"at least \d+: \d+ characters")]
)
def test_a_vocabulary_without_room_for_the_alphabet_is_refused(train, least: str) -> None:
    with pytest.raises(UserError, match=rf"model.vocab[\s\S]*found:    29[\s\S]*{least}"):
        train([TEXTS], 29)


@pytest.mark.parametrize("train", [train_bpe, train_characters])
def test_too_little_text_for_the_vocabulary_is_refused(train) -> None:
    with pytest.raises(UserError, match="too little text for this vocabulary"):
        train([["a b"]], 5000)


@pytest.fixture(scope="module")
def corpus(pydoc_spec: CorpusSpec, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return build(replace(pydoc_spec, tokenizer="characters"), 200, 32, tmp_path_factory.mktemp("corpora"))


def test_a_corpus_counts_its_unknown_characters_in_both_splits(corpus: Corpus) -> None:
    manifest = corpus.manifest
    for split, rows in ((manifest.train, corpus.train), (manifest.heldout, corpus.heldout)):
        assert split.unknown == sum(int((view == 2).sum()) for view in rows.views)
    assert manifest.train.unknown
    assert f"{manifest.train.unknown:,} tokens (" in describe(corpus)
    assert "unknown characters" in describe(corpus)


def test_its_training_rows_use_all_of_its_vocabulary_and_one_of_bytes_does_not(
    corpus: Corpus, pydoc_corpus: Corpus
) -> None:
    assert corpus.manifest.unused == 0
    assert pydoc_corpus.manifest.unused is not None
    assert pydoc_corpus.manifest.unused > 100
    assert pydoc_corpus.manifest.train.unknown is None


def test_a_manifest_from_before_these_counts_is_still_read(pydoc_corpus: Corpus, tmp_path: Path) -> None:
    for path in pydoc_corpus.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    kept = json.loads((tmp_path / "manifest.json").read_text())
    del kept["unused"], kept["train"]["unknown"], kept["heldout"]["unknown"]
    (tmp_path / "manifest.json").write_text(json.dumps(kept))
    old = Corpus(tmp_path)
    assert (old.manifest.unused, old.manifest.train.unknown) == (None, None)
    assert old.hash == pydoc_corpus.hash
