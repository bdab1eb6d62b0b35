"""Packs documents into rows of sequence + 1 tokens, and turns rows into training targets.

"concatenate" cuts one stream of documents, so that rows are full and may begin inside a document.
"documents" is the authors' method: every document is truncated to sequence + 1 tokens, whole documents are packed
in order while they fit, and the remainder of a row is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

Packing = Literal["concatenate", "documents"]
IGNORED = -100  # the label that torch's cross entropy leaves out by default


class Targets(NamedTuple):
    """A model's inputs and labels; all (batch, sequence).

    inputs: token ids, int64, 0 on padding. labels: the next token, int64, IGNORED where no loss is taken.
    positions: int64, from 0 in each document (in each row, when concatenated). segments: int32, the number of
    a token's document in its row, from 1; 0 is padding.
    """

    inputs: np.ndarray
    labels: np.ndarray
    positions: np.ndarray
    segments: np.ndarray


def token_dtype(vocab: int) -> np.dtype:
    """uint16 if it has room for the vocabulary and the padding mark, else uint32."""
    return np.dtype(np.uint16 if vocab < np.iinfo(np.uint16).max else np.uint32)


def padding(dtype: np.dtype) -> int:
    """The padding mark: the largest value of the type, which is never a token id."""
    return int(np.iinfo(dtype).max)


class Packer:
    """Packs documents, in the given order, into rows of sequence + 1 tokens of `dtype`.

    `carry` holds the tokens of the next, incomplete row, (less than a row,); another Packer can continue from them.
    """

    def __init__(self, packing: Packing, sequence: int, dtype: np.dtype, carry: Sequence[int] = ()):
        self.packing, self.width, self.dtype = packing, sequence + 1, dtype
        self.carry = np.array(carry, dtype)

    def add(self, tokens: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The rows completed by these documents, (rows, sequence + 1).

        Args:
            tokens: all documents' tokens, each document from BOS to EOS.
            ends: index in `tokens` after each document.
        """
        if self.packing == "concatenate":
            stream = np.concatenate([self.carry, tokens], dtype=self.dtype, casting="unsafe")
            whole = len(stream) // self.width * self.width
            self.carry = stream[whole:].copy()
            return stream[:whole].reshape(-1, self.width)
        return self._whole_documents(tokens, ends)

    def rest(self) -> np.ndarray:
        """The last, padded row, (0 or 1, sequence + 1); with "concatenate" an incomplete row is dropped."""
        if self.packing == "concatenate" or not len(self.carry):
            return np.empty((0, self.width), self.dtype)
        row, self.carry = self._row(self.carry), self.carry[:0]
        return row[None]

    def _whole_documents(self, tokens: np.ndarray, ends: np.ndarray) -> np.ndarray:
        rows, row, used = [], self._row(self.carry), len(self.carry)
        begin = 0
        for end in ends.tolist():
            document = tokens[begin : min(end, begin + self.width)]
            begin = end
            if used + len(document) > self.width:
                rows.append(row)
                row, used = self._row(self.carry[:0]), 0
            row[used : used + len(document)] = document
            used += len(document)
        self.carry = row[:used].copy()
        return np.array(rows, self.dtype).reshape(-1, self.width)

    def _row(self, tokens: np.ndarray) -> np.ndarray:
        row = np.full(self.width, padding(self.dtype), self.dtype)
        row[: len(tokens)] = tokens
        return row


def targets(rows: np.ndarray, packing: Packing, bos: int, eos: int) -> Targets:
    """Inputs and labels of `rows`, (batch, sequence + 1).

    Documents of a row don't predict each other: the label is IGNORED on padding and where the next token
    begins another document.
    """
    column = np.arange(rows.shape[1])
    if packing == "concatenate":
        segments = np.ones(rows.shape, np.int32)
        positions = np.broadcast_to(column, rows.shape)
        pad = np.zeros(rows.shape, bool)
    else:
        pad = rows == padding(rows.dtype)
        begins = rows == bos
        if bos == eos:
            # BOS and EOS are one id: in a row they alternate, because a truncated document fills a row by itself.
            begins &= np.cumsum(begins, axis=1) % 2 == 1
        segments = np.where(pad, 0, np.cumsum(begins, axis=1)).astype(np.int32)
        start = np.maximum.accumulate(np.where(begins, column, 0), axis=1)
        positions = np.where(pad, 0, column - start)
    asked = (segments[:, 1:] == segments[:, :-1]) & ~pad[:, 1:]
    tokens = np.where(pad, 0, rows).astype(np.int64)
    return Targets(
        inputs=tokens[:, :-1],
        labels=np.where(asked, tokens[:, 1:], IGNORED),
        positions=np.ascontiguousarray(positions[:, :-1], np.int64),
        segments=segments[:, :-1],
    )
