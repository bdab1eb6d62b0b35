"""Text to the tokens of a model, and from each token back to the bytes and words that it adds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from repro.corpus.tokenizer import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CUTS = ("normalizer", "pre_tokenizer", "model")  # what of a tokenizer.json says how text is cut


class Tokens(NamedTuple):
    """Tokens: ids, and the bytes (UTF-8) and words that each adds, all (tokens,) int64.

    A word is what white space parts; it belongs to the token with its first character. Summed over a document they are
    the document's own, whatever a tokenizer leaves out. Marks such as BOS add nothing.
    """

    ids: np.ndarray
    bytes: np.ndarray
    words: np.ndarray


@dataclass(frozen=True)
class Reader:
    """A tokenizer as evaluation uses it.

    Attributes:
        pretrained: the tokenizer; `tokenizers` is behind it.
        bos: put before each document, as in training, where nothing is special but what we mark; None leaves both to
            the tokenizer. No EOS is put after it: the end of a text is no part of it.
    """

    pretrained: PreTrainedTokenizerFast
    bos: int | None = None

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Reader:
        """The reader of a model that was trained on a corpus with this tokenizer."""
        from transformers import PreTrainedTokenizerFast

        bos, eos = (tokenizer.backend.id_to_token(i) for i in (tokenizer.bos, tokenizer.eos))
        wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend, bos_token=bos, eos_token=eos)
        return cls(wrapped, tokenizer.bos)

    def read(self, texts: list[str]) -> list[Tokens]:
        """Tokens of each document, BOS included."""
        found = []
        for text, (ids, ends) in zip(texts, self._cut(texts, plain=self.bos is not None), strict=True):
            if len(ends):
                ends[np.argmax(ends)] = len(text)
            found.append(between(Tokens(ids, *added(text, ends)), self.bos, None))
        return found

    def measure(self, texts: list[str], cut: list[np.ndarray]) -> list[Tokens]:
        """The tokens of documents that were cut before, without marks.

        Where cutting a text anew gives others, as it may at the end of one that was not kept whole, the first of them
        stands for the rest of the text.
        """
        found = []
        for text, ids, (fresh, known) in zip(texts, cut, self._cut(texts, plain=True), strict=True):
            both = min(len(ids), len(fresh))
            same = int(np.argmin([*(ids[:both] == fresh[:both]), False]))
            ends = np.full(len(ids), len(text))
            ends[: min(same, len(ids) - 1)] = known[: min(same, len(ids) - 1)]
            found.append(Tokens(ids, *added(text, ends)))
        return found

    def cuts_as(self, tokenizer: Tokenizer) -> bool:
        """Whether this tokenizer cuts text as that of a corpus."""
        return _rules(self.pretrained.backend_tokenizer) == _rules(tokenizer.backend)

    def _cut(self, texts: list[str], plain: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        """Ids of each text, and the characters up to the end of each. plain: nothing is added, nothing is special."""
        found = self.pretrained(
            texts,
            add_special_tokens=not plain,
            split_special_tokens=plain,
            return_offsets_mapping=True,
            verbose=False,
        )
        pairs = zip(found["input_ids"], found["offset_mapping"], strict=True)
        return [(np.array(ids, np.int64), np.array([end for _, end in offsets], np.int64)) for ids, offsets in pairs]


def between(tokens: Tokens, bos: int | None, eos: int | None) -> Tokens:
    """Tokens between marks; a mark that is None is left out."""
    before, after = (np.array([] if mark is None else [mark], np.int64) for mark in (bos, eos))
    parts = ((before, tokens.ids, after), *((0 * before, values, 0 * after) for values in tokens[1:]))
    return Tokens(*map(np.concatenate, parts))


def added(text: str, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes and words before each of `ends`, in characters, that are not before an earlier one."""
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
