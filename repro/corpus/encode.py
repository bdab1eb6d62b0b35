"""Tokens of one part of the text: encoded by any worker independently, then joined in order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repro.corpus.chunks import in_pieces, read_batch, write_batch
from repro.corpus.extract import ExtractedText
from repro.corpus.overlap import WORDS, HeldoutNgrams, ngram_hashes
from repro.corpus.tokenizer import Tokenizer
from repro.store.folder import Folder

Side = Literal["heldout", "train"]
TOKENIZER = "tokenizer.json"
NGRAMS = "ngrams"  # file of the held-out text's distinct n-gram hashes, ascending, (n,) uint64
LISTED_GROUPS = 1000
PIECE_BYTES = 4_000_000  # bytes of text encoded at once; the working memory is about ten times that


@dataclass(frozen=True)
class TokenPart:
    """The tokens of one split's documents in a part of the text.

    tokens: all documents' tokens, each document from BOS to EOS. ends: index after each document. characters: length
    of their text. groups: number of groups, whose documents are adjacent; names: the first LISTED_GROUPS groups' names;
    last: the last group's name. ngrams: n-gram hashes (heldout), or indices of the held-out n-grams that occur (train).
    """

    tokens: np.ndarray
    ends: np.ndarray
    characters: int
    groups: int
    names: list[str]
    last: str | None
    ngrams: np.ndarray

    def write(self, folder: Folder, name: str) -> None:
        # One row of lists, because the columns differ in length.
        columns = {key: held if isinstance(held, (np.ndarray, list)) else [held] for key, held in vars(self).items()}
        arrays = [pa.array(held, pa.string() if key in ("names", "last") else None) for key, held in columns.items()]
        lists = [pa.LargeListArray.from_arrays([0, len(array)], array) for array in arrays]
        write_batch(folder, name, pa.record_batch(lists, names=list(columns)))

    @classmethod
    def read(cls, folder: Folder, name: str) -> TokenPart:
        batch = read_batch(folder, name)
        column = {field.name: batch.column(field.name).flatten() for field in batch.schema}
        return cls(
            **{key: column[key].to_numpy() for key in ("tokens", "ends", "ngrams")},
            **{key: column[key][0].as_py() for key in ("characters", "groups", "last")},
            names=column["names"].to_pylist(),
        )


@dataclass(frozen=True)
class Encoder:
    """Encodes text parts in `folder` to token parts, in any process. bos, eos: token ids. dtype: the tokens' type."""

    folder: Folder
    side: Side
    bos: int
    eos: int
    dtype: str

    def name(self, number: int) -> str:
        """File name of a text part's tokens."""
        return f"{self.side}-{number:07d}.arrow"

    def __call__(self, number: int) -> None:
        groups, texts = self._extracted.read(self.folder, number, heldout=self.side == "heldout")
        starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
        tokens, lengths, ngrams = zip(*map(self._encoded, in_pieces(texts, PIECE_BYTES)), strict=True)
        TokenPart(
            np.concatenate(tokens),
            np.cumsum(np.concatenate(lengths)),
            pc.sum(pc.utf8_length(texts)).as_py() or 0,
            len(starts),
            [groups[i] for i in starts[:LISTED_GROUPS]],
            groups[-1] if groups else None,
            np.concatenate(ngrams),
        ).write(self.folder, self.name(number))

    def _encoded(self, texts: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Tokens of some texts, the number of tokens per text, and n-grams as in a TokenPart."""
        tokens, lengths = self._tokenizer.encode_batch(texts, np.dtype(self.dtype))
        seen = ngram_hashes(texts, WORDS) if self.side == "heldout" else self._heldout.seen_in(texts)
        return tokens, lengths, seen

    @cached_property
    def _extracted(self) -> ExtractedText:
        return ExtractedText.open(self.folder)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_bytes(self.folder.read(TOKENIZER), self.bos, self.eos)

    @cached_property
    def _heldout(self) -> HeldoutNgrams:
        return HeldoutNgrams(np.frombuffer(self.folder.read(NGRAMS), np.uint64))
