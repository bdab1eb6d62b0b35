"""Reads safetensors in chunks with numpy only: in little memory whatever the size, and without executing anything.

The library's own reader supports bfloat16 only with torch and doesn't expose tensors' offsets, which reading parts of
them needs. The same rules apply here: a header of bounded size, and tensors that fill the file without gap or overlap.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.errors import UserError
from repro.reading import once

LONGEST_HEADER = 2**25  # bytes, at most 0.7 GiB when parsed; shards of the largest public models have 0.5 MB
LONGEST_NAME = 500  # maximum characters of a tensor's name
MOST_DIMENSIONS = 8
LARGEST = 2**60  # maximum numbers in a tensor
STRETCH = 32 * 2**20  # bytes read at once
# Numbers are read as the unsigned integers of their bits.
FLOATS = {"F64": "<u8", "F32": "<u4", "F16": "<u2", "BF16": "<u2", "F8_E4M3": "<u1", "F8_E5M2": "<u1"}
WHOLE = {
    "I64": "<u8",
    "U64": "<u8",
    "I32": "<u4",
    "U32": "<u4",
    "I16": "<u2",
    "U16": "<u2",
    "F8_E8M0": "<u1",  # a power of two, which scales other numbers
    "I8": "<u1",
    "U8": "<u1",
    "BOOL": "<u1",
}


@dataclass(frozen=True)
class Stored:
    """A tensor in a file. dtype: the header's name. begin, end: byte offsets in the file."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def stretches(self, multiple: int = 64) -> Iterator[np.ndarray]:
        """Its elements in order, in flat chunks of a multiple of `multiple`, as the unsigned integers of their bits."""
        kind = np.dtype((FLOATS | WHOLE)[self.dtype])
        step = max(1, STRETCH // (multiple * kind.itemsize)) * multiple * kind.itemsize
        with self.file.open("rb") as stream:
            stream.seek(self.begin)
            for at in range(self.begin, self.end, step):
                wanted = min(step, self.end - at)
                if len(data := stream.read(wanted)) != wanted:
                    raise UserError("a file that became shorter while it was read", file=self.file, key=self.name)
                yield np.frombuffer(data, kind)

    def present(self, multiple: int = 64) -> Iterator[np.ndarray]:
        """The same chunks as bool, True where an element is not zero; -0.0 is zero."""
        for bits in self.stretches(multiple):
            yield ((bits << 1) if self.dtype in FLOATS else bits) != 0


def read_header(file: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file, by name; reads only the header.

    Raises:
        UserError: it is not a complete safetensors file.
    """

    def broken(key: str | None, found: object, expected: object) -> UserError:
        return UserError("an incomplete safetensors file", file=file, key=key, found=found, expected=expected)

    there = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(LONGEST_HEADER, there - 8):
            raise broken("header", f"{length:,} bytes of {there:,}", f"at most {LONGEST_HEADER:,}, within the file")
        try:
            header = json.loads(stream.read(length), object_pairs_hook=once)
        except (ValueError, RecursionError) as error:
            raise broken("header", str(error)[:200], "JSON") from error
    if not isinstance(header, dict):
        raise broken("header", type(header).__name__, "a mapping")
    header.pop("__metadata__", None)
    tensors = [_stored(name, entry, file, 8 + length, broken) for name, entry in header.items()]
    at = 8 + length
    for tensor in sorted(tensors, key=lambda t: (t.begin, t.end)):
        if tensor.begin != at:
            raise broken(tensor.name, f"bytes from {tensor.begin:,}", f"{at:,}, where the one before it ends")
        at = tensor.end
    if at != there:
        raise broken(None, f"{there:,} bytes", f"{at:,}, where its last tensor ends")
    return {tensor.name: tensor for tensor in tensors}


def _stored(name: str, entry: Any, file: Path, start: int, broken: Any) -> Stored:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise broken("header", f"a tensor named {name!r:.80}", f"a printable name of at most {LONGEST_NAME} characters")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise broken(name, repr(entry)[:200], "dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in FLOATS | WHOLE:
        message = "numbers of a type that can't be read"
        raise UserError(message, file=file, key=name, found=f"{dtype!r:.40}", expected=", ".join(FLOATS | WHOLE))
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > MOST_DIMENSIONS:
        raise broken(name, f"shape {shape!r:.80}, data_offsets {offsets!r:.80}", "short lists of whole numbers from 0")
    wanted = math.prod(shape) * np.dtype((FLOATS | WHOLE)[dtype]).itemsize
    if offsets[1] - offsets[0] != wanted:
        raise broken(name, f"{offsets[1] - offsets[0]:,} bytes", f"{wanted:,} of {dtype} in shape {shape}")
    return Stored(name, file, dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _counts(found: Any) -> bool:
    return isinstance(found, list) and all(type(n) is int and 0 <= n <= LARGEST for n in found)


def same(one: Stored, other: Stored) -> bool:
    """Whether two tensors are bit-identical."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return all(np.array_equal(a, b) for a, b in zip(one.stretches(), other.stretches(), strict=True))


def digest(tensors: Iterable[Stored]) -> str:
    """SHA-256 of names, dtypes, shapes and bytes in name order, independent of how tensors are split over files."""
    found = hashlib.sha256()
    for tensor in sorted(tensors, key=lambda t: t.name):
        found.update(json.dumps([tensor.name, tensor.dtype, tensor.shape]).encode())
        for bits in tensor.stretches():
            found.update(bits.data)
    return found.hexdigest()
