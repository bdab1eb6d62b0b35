"""Text as chunks, most of which repeat: each distinct chunk is processed once, and numpy assembles the results."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repro.store.folder import Folder

T = TypeVar("T")


def bytes_of(texts: pa.LargeStringArray | pa.LargeBinaryArray) -> tuple[bytes, np.ndarray]:
    """All texts in UTF-8, concatenated, and where each begins and the last one ends, (texts + 1,)."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    whole = memoryview(data)[bounds[0] : bounds[-1]].tobytes() if bounds[-1] > bounds[0] else b""
    return whole, bounds - bounds[0]


def by_size(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """The items in order, in lists that end with the item that makes their sizes add up to `most` or more."""
    some: list[T] = []
    room = most
    for item in items:
        some.append(item)
        room -= size(item)
        if room <= 0:
            yield some
            some, room = [], most
    if some:
        yield some


def write_batch(folder: Folder, name: str, batch: pa.RecordBatch, compression: str | None = None) -> None:
    """Writes one record batch as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as stream:
        stream.write_batch(batch)
    folder.write(name, memoryview(sink.getvalue()))


def read_batch(folder: Folder, name: str) -> pa.RecordBatch:
    """What `write_batch` wrote."""
    with pa.ipc.open_stream(folder.read(name)) as stream:
        return stream.read_next_batch()


def in_pieces(texts: pa.LargeStringArray, most: int) -> list[pa.LargeStringArray]:
    """The texts in order, in arrays of about `most` bytes; one empty array if there are no texts."""
    ends = np.cumsum(pc.binary_length(texts).to_numpy(), dtype=np.int64)
    cuts = np.searchsorted(ends, np.arange(most, ends[-1] if len(ends) else 0, most)) + 1
    bounds = np.unique(np.concatenate([[0], cuts, [len(texts)]]))
    return [texts.slice(a, b - a) for a, b in itertools.pairwise(bounds.tolist())] or [texts]


def distinct(data: bytes, at: np.ndarray) -> tuple[pa.LargeBinaryArray, np.ndarray]:
    """The distinct chunks of `data`, cut at the offsets `at`, and the index of each chunk among them, (len(at),)."""
    buffers = [None, pa.py_buffer(np.append(at, len(data))), pa.py_buffer(data)]
    found = pa.Array.from_buffers(pa.large_binary(), len(at), buffers).dictionary_encode()
    return found.dictionary, found.indices.to_numpy()


def gather(
    values: np.ndarray, start: np.ndarray, lengths: np.ndarray, which: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values of a sequence of chunks, concatenated, and where each begins and the last one ends, (len(which) + 1,).

    Args:
        values: values of all distinct chunks.
        start: index in `values` of each distinct chunk's first value.
        lengths: number of values of each distinct chunk.
        which: the sequence, as indices of distinct chunks.
    """
    many = lengths[which]
    until = np.append(0, np.cumsum(many))
    return values[np.repeat(start[which] - until[:-1], many) + np.arange(until[-1])], until
