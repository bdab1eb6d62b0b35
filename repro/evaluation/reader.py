"""Tokenizes text for evaluation, and counts the bytes and words that each token adds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from repro.corpus.tokenizer import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

AT_ONCE = 1000  # texts per call: before conversion to arrays, tokens take much more memory
PLAIN = {"add_special_tokens": False, "split_special_tokens": True}  # adds no marks and matches no special tokens
CUTS = ("normalizer", "pre_tokenizer", "model")  # parts of tokenizer.json that determine how text is split


class Tokens(NamedTuple):
    """Tokens: ids, and the bytes (UTF-8) and words that each adds, all (tokens,) int64.

    Words are separated by white space; a word belongs to the token with its first character. The sums over a document
    are the document's counts, even if a tokenizer drops characters. Marks such as BOS add nothing.
    """

    ids: np.ndarray
    bytes: np.ndarray
    words: np.ndarray


@dataclass(frozen=True)
class TextReader:
    """A tokenizer backed by `tokenizers`, for evaluation."""

    pretrained: PreTrainedTokenizerFast

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> TextReader:
        """The reader for a model trained on a corpus with this tokenizer.

        As in training, a text begins with BOS, and "<eos>" in a text is plain text. No EOS is appended: the end isn't
        part of the text.
        """
        return cls(tokenizer.for_transformers(split_special_tokens=True))

    def read(self, texts: list[str]) -> list[Tokens]:
        """Tokens of each document, with the marks that the tokenizer adds."""
        found = []
        for text, (ids, ends) in zip(texts, self._cut(texts), strict=True):
            if len(ends):
                ends[np.argmax(ends)] = len(text)
            found.append(Tokens(ids, *added(text, ends)))
        return found

    def measure(self, texts: list[str], cut: list[np.ndarray]) -> list[Tokens]:
        """Bytes and words of documents that are tokenized already, without marks.

        Where retokenizing a text gives other tokens, as it may at the end of a truncated document, the first differing
        token gets the rest of the text.
        """
        found = []
        for text, ids, (fresh, known) in zip(texts, cut, self._cut(texts, **PLAIN), strict=True):
            both = min(len(ids), len(fresh))
            same = int(np.argmin([*(ids[:both] == fresh[:both]), False]))
            ends = np.full(len(ids), len(text))
            ends[: min(same, len(ids) - 1)] = known[: min(same, len(ids) - 1)]
            found.append(Tokens(ids, *added(text, ends)))
        return found

    def cuts_as(self, tokenizer: Tokenizer) -> bool:
        """Whether this tokenizer splits text exactly like a corpus's tokenizer."""
        return _rules(self.pretrained.backend_tokenizer) == _rules(tokenizer.backend)

    def _cut(self, texts: list[str], **how: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        """Ids of each text, and each token's end offset in characters."""
        cut = []
        for first in range(0, len(texts), AT_ONCE):
            found = self.pretrained(texts[first : first + AT_ONCE], return_offsets_mapping=True, verbose=False, **how)
            for ids, offsets in zip(found["input_ids"], found["offset_mapping"], strict=True):
                cut.append((np.array(ids, np.int64), np.array([end for _, end in offsets], np.int64)))
        return cut


def between(tokens: Tokens, bos: int | None, eos: int | None) -> Tokens:
    """Tokens with marks around them; None: no mark."""
    before, after = (np.array([] if mark is None else [mark], np.int64) for mark in (bos, eos))
    parts = ((before, tokens.ids, after), *((0 * before, values, 0 * after) for values in tokens[1:]))
    return Tokens(*map(np.concatenate, parts))


def added(text: str, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes and words that each token adds, given the tokens' end offsets in characters."""
    code = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    size = 1 + (code > 0x7F).astype(np.int64) + (code > 0x7FF) + (code > 0xFFFF)
    space = np.array([True, *map(str.isspace, text)])
    reached = np.maximum.accumulate(np.concatenate([[0], ends]))
    counts = (np.cumsum(np.concatenate([[0], each])) for each in (size, space[:-1] & ~space[1:]))
    of_bytes, of_words = (np.diff(count[reached]) for count in counts)
    return of_bytes, of_words


def _rules(backend: Any) -> dict[str, Any]:
    parts = json.loads(backend.to_str())
    return {name: parts[name] for name in CUTS}
