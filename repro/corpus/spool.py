"""The extracted text on disk, and which part of it is held out.

A source is read once, whatever its size: documents go to an Arrow stream while their hash and the size of
every group are taken, and the split, the tokenizer, the tokens and the overlap are then read from there.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repro.corpus.sources import Document, open_source
from repro.errors import UserError
from repro.spec import CorpusSpec

# Groups are held out in the order of their place, a hash of their name; a fixed number of places keeps the
# table of sizes small for any number of groups. One more place is never held out.
PLACES = 1 << 20
BATCH_BYTES = 4_000_000
_SCHEMA = pa.schema([("place", pa.uint32()), ("group", pa.large_string()), ("text", pa.large_string())])


@dataclass(frozen=True)
class Spool:
    """Extracted text. sha256: of all of it, in order. cutoff: places below it are held out."""

    path: Path
    sha256: str
    cutoff: int

    def read(self, *, heldout: bool) -> Iterator[tuple[list[str], list[str]]]:
        """Groups and texts of one side of the split, about BATCH_BYTES at a time, in the source's order."""
        with pa.memory_map(str(self.path)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                kept = pc.less(batch.column("place"), self.cutoff)
                batch = batch.filter(kept if heldout else pc.invert(kept))
                if batch.num_rows:
                    yield batch.column("group").to_pylist(), batch.column("text").to_pylist()

    def texts(self, *, heldout: bool) -> Iterator[list[str]]:
        return (texts for _, texts in self.read(heldout=heldout))


def place(group: str) -> int:
    """Where a group stands in the order of being held out, 0 first."""
    return int.from_bytes(hashlib.sha256(group.encode("utf-8", "replace")).digest()[:4], "big") % PLACES


def ingest(spec: CorpusSpec, path: Path) -> Spool:
    """Reads the source that `spec` names into `path` and decides what is held out.

    Raises:
        UserError: no text, or no way to split it into two sides of whole groups.
    """
    digest = hashlib.sha256()
    size = np.zeros(PLACES + 1, np.int64)  # (places + 1,) bytes of the text of the groups at each place
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, _SCHEMA, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream,
    ):
        for batch in _batches(_placed(spec)):
            for at, _, data in batch:
                digest.update(data + b"\0")
                size[at] += len(data)
            places, groups, texts = zip(*batch, strict=True)
            stream.write_batch(
                pa.record_batch(
                    [
                        pa.array(places, pa.uint32()),
                        pa.array(groups, pa.large_string()),
                        pa.array(texts, pa.large_string()),
                    ],
                    schema=_SCHEMA,
                )
            )
    total = int(size.sum())
    where = ", ".join(spec.paths) or f"{spec.source} {spec.name}"
    if not total:
        raise UserError(
            "an empty corpus", file=where, key="corpus.name", found="no text", expected="at least one document"
        )
    # A declared split is held out as it is: its documents stand at place 0 and nothing else does.
    target = total * spec.heldout_fraction if spec.heldout_split is None else size[0]
    cutoff = 1 + int(np.searchsorted(np.cumsum(size), target))
    if not 0 < size[:cutoff].sum() < total:
        raise UserError(
            "a corpus that cannot be split by whole groups",
            file=where,
            key="corpus.heldout_fraction",
            found="all text on one side",
            expected="two or more groups of which one can be held out",
        )
    return Spool(path, digest.hexdigest(), cutoff)


def _placed(spec: CorpusSpec) -> Iterator[tuple[int, Document]]:
    def limited(part: CorpusSpec) -> Iterator[Document]:
        return islice((d for d in open_source(part).documents() if d.text.strip()), part.max_documents)

    if spec.heldout_split is None:
        yield from ((place(document.group), document) for document in limited(spec))
    else:
        yield from ((PLACES, document) for document in limited(spec))
        yield from ((0, document) for document in limited(dataclasses.replace(spec, split=spec.heldout_split)))


def _batches(placed: Iterator[tuple[int, Document]]) -> Iterator[list[tuple[int, str, bytes]]]:
    batch: list[tuple[int, str, bytes]] = []
    size = 0
    for at, document in placed:
        data = document.text.encode("utf-8", "replace")  # a lone surrogate, which JSON may hold, has no UTF-8
        batch.append((at, document.group, data))
        size += len(data)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
