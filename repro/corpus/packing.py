"""Documents into rows of sequence + 1 tokens, and rows into what a model is trained on.

"concatenate" cuts one stream of documents, so that rows are full and may begin inside a document.
"documents" is the authors' way: every document is cut at sequence + 1 tokens and the rest dropped, whole
documents are packed in order while they fit, and the remainder of a row is padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np

Packing = Literal["concatenate", "documents"]
IGNORED = -100  # the label that torch's cross entropy leaves out by default


class Targets(NamedTuple):
    """What a model takes and is asked for; all (batch, sequence).

    inputs: token ids, int64, 0 on padding. labels: the next token, int64, IGNORED where nothing is asked.
    positions: int64, from 0 in each document (of each row, when concatenated). segments: int32, which
    document of its row a token belongs to, from 1; 0 is padding.
    """

    inputs: np.ndarray
    labels: np.ndarray
    positions: np.ndarray
    segments: np.ndarray


def token_dtype(vocab: int) -> np.dtype:
    """uint16 where it holds the vocabulary and the padding mark, else uint32."""
    return np.dtype(np.uint16 if vocab < np.iinfo(np.uint16).max else np.uint32)


def padding(dtype: np.dtype) -> int:
    """The mark of padding: the largest value of the type, which is no token's id."""
    return int(np.iinfo(dtype).max)


def pack(
    documents: Iterable[list[np.ndarray]], packing: Packing, sequence: int, dtype: np.dtype
) -> Iterator[np.ndarray]:
    """Blocks of rows, each (rows, sequence + 1) of `dtype`.

    Args:
        documents: batches of documents, each an array of token ids from BOS to EOS.
    """
    rows = _concatenated if packing == "concatenate" else _whole_documents
    return rows(documents, sequence + 1, dtype)


def _concatenated(batches: Iterable[list[np.ndarray]], width: int, dtype: np.dtype) -> Iterator[np.ndarray]:
    tail = np.empty(0, dtype)
    for documents in batches:
        stream = np.concatenate([tail, *documents], dtype=dtype, casting="unsafe")
        whole = len(stream) // width * width
        yield stream[:whole].reshape(-1, width)
        tail = stream[whole:]


def _whole_documents(batches: Iterable[list[np.ndarray]], width: int, dtype: np.dtype) -> Iterator[np.ndarray]:
    row, used = np.full(width, padding(dtype), dtype), 0
    for documents in batches:
        block = []
        for document in documents:
            document = document[:width]
            if used + len(document) > width:
                block.append(row)
                row, used = np.full(width, padding(dtype), dtype), 0
            row[used : used + len(document)] = document
            used += len(document)
        yield np.array(block, dtype).reshape(-1, width)
    if used:
        yield row[None]


def targets(rows: np.ndarray, packing: Packing, bos: int, eos: int) -> Targets:
    """What to train on in `rows`, (batch, sequence + 1).

    A packed document is asked for nothing but its own tokens: the label is IGNORED on padding and where the
    next token begins another document.
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
            # One id for both: in a row they alternate, as a document without its end fills the row alone.
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
