"""Tokenizers trained on the corpus: a BPE over bytes, or over the text's own characters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.corpus.chunked_tokenizer import GPT2_WORDS
from repro.corpus.tokenizer import Tokenizer
from repro.errors import UserError

if TYPE_CHECKING:
    import tokenizers

BOS, EOS, UNKNOWN = "<bos>", "<eos>", "<unk>"
# With more text the merges no longer change, but the time to count pairs grows.
TRAINING_CHARACTERS = 200_000_000
RARE = 1e-5  # characters with a lower share of the text are unknown


def train_bpe(texts: Iterable[list[str]], vocab: int) -> Tokenizer:
    """A byte-level BPE of exactly `vocab` entries: <bos>, <eos>, 256 bytes, then merges.

    Args:
        texts: batches of training text, of which the first TRAINING_CHARACTERS are used.
        vocab: size of the vocabulary, in tokens.

    Raises:
        UserError: the vocabulary has no room for the bytes, or the text has too few pairs to fill it.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _check_room(vocab, len(alphabet) + 2, "a byte-level BPE", f"256 bytes, {BOS} and {EOS}")
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return _trained(backend, texts, vocab, [BOS, EOS], initial_alphabet=alphabet)


def train_characters(texts: Iterable[list[str]], vocab: int) -> Tokenizer:
    """A BPE of exactly `vocab` entries: <bos>, <eos>, <unk>, the text's characters, then merges.

    The characters are those that make up at least RARE of the text; each other one is encoded as <unk>. Words are
    split as by GPT-2. For small vocabularies: a byte-level BPE has 256 entries for bytes, most of which text in one
    language never uses.

    Args:
        texts: batches of training text, of which the first TRAINING_CHARACTERS are used; iterated twice.
        vocab: size of the vocabulary, in tokens.

    Raises:
        UserError: the vocabulary has no room for the characters, or the text has too few pairs to fill it.
    """
    import tokenizers
    from tokenizers import Regex, decoders, models, pre_tokenizers

    alphabet = _characters(_first(texts, TRAINING_CHARACTERS))
    marks = [BOS, EOS, UNKNOWN]
    needed = f"{len(alphabet)} characters, {', '.join(marks)}"
    _check_room(vocab, len(alphabet) + len(marks), "the text's characters", needed)
    backend = tokenizers.Tokenizer(models.BPE(unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(GPT2_WORDS), "isolated")
    backend.decoder = decoders.Fuse()
    return _trained(backend, texts, vocab, marks, initial_alphabet=alphabet, limit_alphabet=len(alphabet))


# `corpus.tokenizer` -> what trains it, from batches of training text and the size of the vocabulary
TRAINED: dict[str, Callable[[Iterable[list[str]], int], Tokenizer]] = {"bpe": train_bpe, "characters": train_characters}


def _check_room(vocab: int, least: int, what: str, needed: str) -> None:
    if vocab < least:
        expected = f"at least {least}: {needed}"
        raise UserError(f"vocabulary too small for {what}", key="model.vocab", found=vocab, expected=expected)


def _trained(
    backend: tokenizers.Tokenizer, texts: Iterable[list[str]], vocab: int, marks: list[str], **alphabet: Any
) -> Tokenizer:
    from tokenizers import trainers

    backend.train_from_iterator(
        _first(texts, TRAINING_CHARACTERS),
        trainers.BpeTrainer(vocab_size=vocab, special_tokens=marks, show_progress=False, **alphabet),
    )
    if backend.get_vocab_size() != vocab:
        raise UserError(
            "too little text for this vocabulary",
            key="model.vocab",
            found=vocab,
            expected=f"at most {backend.get_vocab_size()}, the largest vocabulary that this text gives",
        )
    ids = backend.get_vocab()
    return Tokenizer(backend, ids[BOS], ids[EOS])


def _characters(batches: Iterable[list[str]]) -> list[str]:
    """The characters that make up at least RARE of the text, ascending."""
    counts = np.zeros(0x110000, np.int64)
    for batch in batches:
        code = np.frombuffer("".join(batch).encode("utf-32-le"), np.uint32)
        found, times = np.unique(code, return_counts=True)
        counts[found] += times
    return [chr(code) for code in np.flatnonzero(counts >= max(1, RARE * counts.sum()))]


def _first(batches: Iterable[list[str]], characters: int) -> Iterator[list[str]]:
    seen = 0
    for batch in batches:
        yield batch
        seen += sum(map(len, batch))
        if seen >= characters:
            return
