"""A text in chunks has the tokens that it has whole, in every family of tokenizers that is known to; others aren't cut."""

import random
import re

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, trainers

from repro.corpus import chunked_tokenizer
from repro.corpus.bpe import train_bpe, train_characters
from repro.corpus.tokenizer import Tokenizer

ALPHABET = [
    *"aabbxyZQ 109 .,'-_\n\t\r\x1c\x85\xa0\u2028\u3000éÉe\u0301\u0301ſ—“▁▁日本😀ﬁا",
    *["  ", " '", "'s", " a", "ab "] * 3,
]


def texts(seed, count, longest=40):
    draw = random.Random(seed)
    return ["".join(draw.choices(ALPHABET, k=draw.randrange(longest))) for _ in range(count)]


def trained(before, normalizer=None, initial=(), **model):
    """A BPE with entries that hold spaces where its pre-tokenizer lets it learn such."""
    backend = tokenizers.Tokenizer(models.BPE(**model))
    backend.pre_tokenizer, backend.normalizer = before, normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<s>", "</s>"], initial_alphabet=list(initial), show_progress=False
    )
    backend.train_from_iterator(texts(0, 800), trainer)
    return backend


def byte_level(**facts):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, **facts)


def in_words(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level(use_regex=False)])


BYTES = pre_tokenizers.ByteLevel.alphabet()
DIGITS = pre_tokenizers.Digits(individual_digits=True)
PREPEND, REPLACE = normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")


def llama(before, normalizer):
    """Of Llama-2's family: words are learnt apart, and then all of a text is merged at once."""
    backend = trained(pre_tokenizers.Metaspace(split=True), byte_fallback=True, fuse_unk=True, unk_token="<s>")
    backend.pre_tokenizer, backend.normalizer = before, normalizer
    return backend


KNOWN = {
    "ours": lambda: train_bpe([texts(0, 800)], 400).backend,
    "ours of characters": lambda: train_characters([[re.sub("[日本é😀Z]", "", t) for t in texts(0, 800)]], 400).backend,
    "gpt-2": lambda: trained(byte_level(), initial=BYTES),
    "pythia": lambda: trained(byte_level(), normalizers.NFC(), BYTES),
    "llama-3": lambda: trained(in_words(chunked_tokenizer.WORDS[0]), initial=BYTES, ignore_merges=True),
    "qwen": lambda: trained(in_words(chunked_tokenizer.WORDS[1]), normalizers.NFC(), BYTES),
    "starcoder": lambda: trained(pre_tokenizers.Sequence([DIGITS, byte_level()]), initial=BYTES),
    "llama-2": lambda: llama(None, normalizers.Sequence([PREPEND, REPLACE])),
    "llama-2 by transformers": lambda: llama(pre_tokenizers.Metaspace(prepend_scheme="first", split=False), None),
    "always": lambda: llama(pre_tokenizers.Metaspace(prepend_scheme="always", split=False), None),
    "without a prefix": lambda: llama(pre_tokenizers.Metaspace(prepend_scheme="never", split=False), None),
    "gemma": lambda: llama(None, REPLACE),
}


BEGUN_ANEW = ("llama-2", "llama-2 by transformers", "always")  # after an added token as at a text's beginning
CASES = [(family, added) for family in KNOWN for added in (False, True) if not (added and family in BEGUN_ANEW)]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "added"), CASES)
def test_a_text_in_stretches_has_the_tokens_that_it_has_whole(family, added):
    backend = KNOWN[family]()
    if added:
        backend.add_tokens([AddedToken(content, normalized=False) for content in ("    ", "<|user|>")])
    tokenizer = Tokenizer(backend, 0, 1)
    assert chunked_tokenizer.chunked(backend)
    some = [*texts(1, 1000), *texts(2, 20, longest=2000), "", " ", "a", " a", "▁a b", "a " * 300, "<|user|> a<s> b"]
    ids, lengths = tokenizer.encode_batch(some, np.dtype(np.uint16))
    assert ids.dtype == np.uint16
    whole = [encoding.ids for encoding in backend.encode_batch_fast(some, add_special_tokens=False)]
    assert [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])] == [[0, *one, 1] for one in whole]


def test_texts_that_are_a_slice_of_others_are_cut_as_they_are():
    tokenizer = Tokenizer(KNOWN["gpt-2"](), 0, 1)
    some = texts(3, 30)
    found = tokenizer.encode_batch(pa.array(some, pa.large_string()).slice(7, 12), np.dtype(np.uint16))
    for one, other in zip(found, tokenizer.encode_batch(some[7:19], np.dtype(np.uint16)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_occurs_again_is_encoded_once():
    tokenizer = chunked_tokenizer.chunked(KNOWN["gpt-2"]())
    assert tokenizer is not None
    chunks, which, begins = tokenizer.cut(pa.array(["ab cd ab", "ab ab"], pa.large_string()))
    assert sorted(chunks.to_pylist()) == [b" ab", b" cd", b"ab"]
    assert chunks.take(which).to_pylist() == [b"ab", b" cd", b" ab", b"ab", b" ab"]
    assert begins.tolist() == [0, 3, 5]


def test_what_was_encoded_before_is_forgotten_in_time_and_encoded_again(monkeypatch):
    monkeypatch.setattr(chunked_tokenizer, "MEMORY_BYTES", 0)
    tokenizer = Tokenizer(KNOWN["gpt-2"](), 0, 1)
    for seed in (5, 5, 6, 5):
        some = texts(seed, 60)
        ids, _ = tokenizer.encode_batch(some, np.dtype(np.uint16))
        whole = tokenizer.backend.encode_batch_fast(some, add_special_tokens=False)
        assert ids.tolist() == [token for one in whole for token in [0, *one.ids, 1]]


def with_token(content, family="gpt-2", **facts):
    backend = KNOWN[family]()
    backend.add_tokens([AddedToken(content, normalized=False, **facts)])
    return backend


def unknown_spaces():
    """What it doesn't know it makes one token of, over spaces too."""
    backend = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1, "?": 2}, [], unk_token="?", fuse_unk=True))
    backend.normalizer = REPLACE
    return backend


OTHERS = {
    "merges over spaces": lambda: trained(None, normalizer=REPLACE),
    "spaces are unknown": unknown_spaces,
    "no words": lambda: trained(byte_level(use_regex=False), initial=BYTES),
    "another expression": lambda: trained(in_words(r"\p{L}+ \p{L}+|."), initial=BYTES),
    "a space before each text": lambda: trained(pre_tokenizers.ByteLevel(add_prefix_space=True), initial=BYTES),
    "another normalizer": lambda: trained(byte_level(), normalizers.Replace("b c", "x"), BYTES),
    "characters by another expression": lambda: trained(pre_tokenizers.Split(Regex(r"\p{L}+ \p{L}+|."), "isolated")),
    "chance": lambda: trained(byte_level(), initial=BYTES, dropout=0.5),
    "no BPE": lambda: tokenizers.Tokenizer(models.WordLevel({"a": 0}, unk_token="a")),
    "a token with a space": lambda: with_token("b c"),
    "a token that takes spaces": lambda: with_token("<|user|>", lstrip=True),
    "a token after which a text begins anew": lambda: with_token("<|user|>", "llama-2"),
    "a token between words": lambda: with_token("ab", single_word=True),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_tokenizer_that_is_not_known_to_bear_it_gets_its_texts_whole(kind):
    backend = OTHERS[kind]()
    assert chunked_tokenizer.chunked(backend) is None
    if kind != "chance":
        some = texts(4, 200)
        ids, lengths = Tokenizer(backend, 0, 1).encode_batch(some, np.dtype(np.uint16))
        whole = [encoding.ids for encoding in backend.encode_batch_fast(some, add_special_tokens=False)]
        assert [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])] == [[0, *one, 1] for one in whole]
