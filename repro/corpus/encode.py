"""A part of the text as tokens: what any worker makes of it alone, and what a build then joins in order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repro.corpus.chunks import in_pieces
from repro.corpus.extract import Spool
from repro.corpus.overlap import WORDS, Wanted, ngram_hashes
from repro.corpus.tokenizer import Tokenizer
from repro.store.folder import Folder

Side = Literal["heldout", "train"]
TOKENIZER = "tokenizer.json"
NGRAMS = "ngrams"  # the held-out text's: hashes, each once, ascending, (n,) uint64
LISTED_GROUPS = 1000
PIECE_BYTES = 4_000_000  # of text at once, of which the work takes some ten times as much


@dataclass(frozen=True)
class TokenPart:
    """One side of a part of the text.

    tokens: of all documents, from BOS to EOS each. ends: where each ends. characters: of their text. groups: how many
    there are, a group's documents following each other; names: of the first LISTED_GROUPS; last: of the last.
    ngrams: hashes of n-grams (held out), or which of the held-out ones occur (train).
    """

    tokens: np.ndarray
    ends: np.ndarray
    characters: int
    groups: int
    names: list[str]
    last: str | None
    ngrams: np.ndarray

    def write(self, folder: Folder, name: str) -> None:
        columns = {
            "tokens": self.tokens,
            "ends": self.ends,
            "ngrams": self.ngrams,
            "characters": [self.characters],
            "groups": [self.groups],
            "names": self.names,
            "last": [self.last],
        }
        # One row of lists, since the columns differ in length.
        texts = ("names", "last")
        arrays = [pa.array(values, pa.string() if key in texts else None) for key, values in columns.items()]
        lists = [pa.LargeListArray.from_arrays([0, len(array)], array) for array in arrays]
        sink = pa.BufferOutputStream()
        batch = pa.record_batch(lists, names=list(columns))
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        folder.write(name, memoryview(sink.getvalue()))

    @classmethod
    def read(cls, folder: Folder, name: str) -> TokenPart:
        with pa.ipc.open_stream(folder.read(name)) as stream:
            batch = stream.read_next_batch()
        column = {field.name: batch.column(field.name).flatten() for field in batch.schema}
        return cls(
            column["tokens"].to_numpy(),
            column["ends"].to_numpy(),
            column["characters"][0].as_py(),
            column["groups"][0].as_py(),
            column["names"].to_pylist(),
            column["last"][0].as_py(),
            column["ngrams"].to_numpy(),
        )


@dataclass(frozen=True)
class Encoder:
    """Makes token parts of the text parts in `folder`, in any process. bos, eos: ids; dtype: of the tokens."""

    folder: Folder
    side: Side
    bos: int
    eos: int
    dtype: str

    def name(self, number: int) -> str:
        """File of a token part, by its text part's number."""
        return f"{self.side}-{number:07d}.arrow"

    def __call__(self, number: int) -> None:
        groups, texts = self._spool.read(self.folder, number, heldout=self.side == "heldout")
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
        """Tokens of some texts, how many are whose, and n-grams as a TokenPart has them."""
        tokens, lengths = self._tokenizer.encode_batch(texts, np.dtype(self.dtype))
        seen = ngram_hashes(texts, WORDS) if self.side == "heldout" else self._heldout.seen_in(texts)
        return tokens, lengths, seen

    @cached_property
    def _spool(self) -> Spool:
        return Spool.open(self.folder)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_bytes(self.folder.read(TOKENIZER), self.bos, self.eos)

    @cached_property
    def _heldout(self) -> Wanted:
        return Wanted(np.frombuffer(self.folder.read(NGRAMS), np.uint64))
