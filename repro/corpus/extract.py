"""Extraction of a source's text to files ("parts"), and the choice of what is held out.

A source is read once, its pieces independently of each other, into parts: Arrow streams, written atomically. The hash
of the text and the size of every group are computed from the parts in the source's order; split, tokenizer, tokens and
overlap are then computed from the parts. Where one part ends and the next begins affects no result.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from repro import strict
from repro.console.progress import TimedProgress
from repro.corpus.chunks import by_size, read_batch, write_batch
from repro.corpus.documents import Source
from repro.corpus.files import local
from repro.corpus.huggingface import local_folder
from repro.corpus.pool import Pool, in_order
from repro.corpus.sources import open_source, sides_of
from repro.errors import UserError
from repro.spec import CorpusSpec
from repro.store.folder import Folder

# Groups are held out in the order of their place, a hash of their name; a fixed number of places keeps the
# table of sizes small for any number of groups. The last place, PLACES itself, is never held out.
PLACES = 1 << 20
PART_BYTES = 8_000_000  # bytes of text in a part: a few seconds of tokenizing
BATCH_BYTES = 4_000_000
FILE = "text.json"
_SCHEMA = pa.schema([("place", pa.uint32()), ("group", pa.large_string()), ("text", pa.large_string())])


@strict.dataclass
class TextPart:
    """A file of documents. documents: how many of them count. bytes: size of their text. lowest, highest: places."""

    file: str
    documents: int
    bytes: int
    lowest: int
    highest: int


@strict.dataclass
class ExtractedText:
    """The text of a source. sha256: hash of all text, in order. cutoff: places below it are held out."""

    sha256: str
    cutoff: int
    parts: tuple[TextPart, ...]

    @classmethod
    def open(cls, folder: Folder) -> ExtractedText:
        return strict.build(cls, folder.read_json(FILE), file=f"{folder}/{FILE}")

    def side(self, *, heldout: bool) -> list[int]:
        """Numbers of the parts that contain text of one side of the split."""
        return [
            number
            for number, part in enumerate(self.parts)
            if (part.lowest < self.cutoff if heldout else part.highest >= self.cutoff)
        ]

    def read(self, folder: Folder, number: int, *, heldout: bool) -> tuple[list[str], pa.LargeStringArray]:
        """Groups and texts of a part that belong to one side of the split."""
        batch = _load(folder, self.parts[number])
        kept = pc.less(batch.column("place"), self.cutoff)
        batch = batch.filter(kept if heldout else pc.invert(kept))
        return batch.column("group").to_pylist(), batch.column("text")


@dataclass(frozen=True)
class TrainingText:
    """Training text in batches, one per BATCH_BYTES of all text; a tokenizer is trained on the first batches.

    Each iteration reads the parts in `folder` again.
    """

    extracted: ExtractedText
    folder: Folder

    def __iter__(self) -> Iterator[list[str]]:
        texts, size = [], 0
        for part in self.extracted.parts:
            batch = _load(self.folder, part)
            sizes = pc.binary_length(batch.column("text")).to_pylist()
            columns = zip(batch.column("place").to_pylist(), sizes, batch.column("text").to_pylist(), strict=True)
            for place, length, text in columns:
                if place >= self.extracted.cutoff:
                    texts.append(text)
                size += length
                if size >= BATCH_BYTES:
                    yield texts
                    texts, size = [], 0
        yield texts


def place(group: str) -> int:
    """A group's place in the order of holding out, 0 first."""
    return int.from_bytes(hashlib.sha256(group.encode("utf-8", "replace")).digest()[:4], "big") % PLACES


def extract(
    spec: CorpusSpec, folder: Folder, pool: Pool, progress: TimedProgress, part_bytes: int = PART_BYTES
) -> ExtractedText:
    """Extracts the source of `spec` to `folder`, resuming an earlier extraction, and decides what is held out.

    Raises:
        UserError: no text, or text that can't be split into two sides of whole groups.
    """
    if folder.exists(FILE):
        return ExtractedText.open(folder)
    digest = hashlib.sha256()
    size = np.zeros(PLACES + 1, np.int64)  # (places + 1,) bytes of the text of the groups at each place
    parts: list[TextPart] = []
    for reader in _readers(spec, folder, part_bytes):
        for part in _limited(reader.parts(pool, progress), spec.max_documents):
            batch = _load(folder, part)
            text = batch.column("text").cast(pa.large_binary())
            digest.update(b"\0".join([*text.to_pylist(), b""]))
            lengths = pc.binary_length(text).to_numpy()
            np.add.at(size, batch.column("place").to_numpy(), lengths)
            parts.append(dataclasses.replace(part, bytes=int(lengths.sum())))
    total = int(size.sum())
    where = ", ".join(spec.paths) or f"{spec.source} {spec.name}"
    if not total:
        raise UserError(
            "an empty corpus", file=where, key="corpus.name", found="no text", expected="at least one document"
        )
    # A declared split is held out as it is: its documents have place 0, and no others do.
    target = total * spec.heldout_fraction if spec.heldout_split is None else size[0]
    cutoff = 1 + int(np.searchsorted(np.cumsum(size), target))
    if not 0 < size[:cutoff].sum() < total:
        raise UserError(
            "a corpus that cannot be split by whole groups",
            file=where,
            key="corpus.heldout_fraction",
            found="all text in one part",
            expected="two or more groups of which one can be held out",
        )
    extracted = ExtractedText(digest.hexdigest(), cutoff, tuple(parts))
    folder.write_json(FILE, dataclasses.asdict(extracted))
    return extracted


def _readers(spec: CorpusSpec, folder: Folder, part_bytes: int) -> Iterator[PieceReader]:
    # Workers have another working folder than the one that relative paths refer to.
    spec = dataclasses.replace(spec, paths=tuple(map(local, spec.paths)))
    if spec.source == "huggingface" and (mine := local_folder(spec.name)):
        spec = dataclasses.replace(spec, name=str(mine))
    places = (None,) if spec.heldout_split is None else (PLACES, 0)
    for number, (side, place) in enumerate(zip(sides_of(spec), places, strict=True)):
        yield PieceReader(side, folder, part_bytes, f"text-{number}", place)


@dataclass(frozen=True)
class PieceReader:
    """Extracts pieces of a source, in any process. place: place of all documents; None: by each one's group."""

    spec: CorpusSpec
    folder: Folder
    part_bytes: int
    stem: str
    place: int | None

    def parts(self, pool: Pool, progress: TimedProgress) -> Iterator[TextPart]:
        """The parts of all pieces in order, produced lazily; pieces already extracted aren't read again."""
        pieces = range(self._source.pieces)
        there = set(self.folder.names())
        progress.begin("reading the text", len(pieces), "pieces")
        for piece in in_order(pool, self, pieces, lambda piece: self._list(piece) in there):
            progress.advance(1)
            for part in self.folder.read_json(self._list(piece)):
                yield TextPart(**part)

    def __call__(self, piece: int) -> None:
        """Extracts a piece. Its list of parts is written last and marks it as complete."""
        parts: list[TextPart] = []
        for documents in by_size(self._placed(piece), lambda placed: len(placed[2]), self.part_bytes):
            file = f"{self.stem}-{piece:05d}-{len(parts):05d}.arrow"
            places, groups, texts = zip(*documents, strict=True)
            ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
            buffers = [None, pa.py_buffer(np.concatenate([[0], ends])), pa.py_buffer(b"".join(texts))]
            columns = [
                pa.array(np.array(places, np.uint32)),
                pa.array(groups, pa.large_string()),
                pa.Array.from_buffers(pa.large_string(), len(texts), buffers),
            ]
            write_batch(self.folder, file, pa.record_batch(columns, schema=_SCHEMA), "lz4")
            parts.append(TextPart(file, len(texts), int(ends[-1]), min(places), max(places)))
        self.folder.write_json(self._list(piece), [dataclasses.asdict(part) for part in parts])

    @cached_property
    def _source(self) -> Source:
        return open_source(self.spec)

    def _list(self, piece: int) -> str:
        return f"{self.stem}-{piece:05d}.json"

    def _placed(self, piece: int) -> Iterator[tuple[int, str, bytes]]:
        documents = (document for document in self._source.documents(piece) if document.text.strip())
        for group, text in islice(documents, self.spec.max_documents):
            at = place(group) if self.place is None else self.place
            # JSON may contain lone surrogates, which UTF-8 can't encode.
            yield at, group, text.encode("utf-8", "replace")


def _limited(parts: Iterator[TextPart], most: int | None) -> Iterator[TextPart]:
    """Parts with `most` documents in total: the last part may be cut, and no further part is requested."""
    left = most
    for part in parts:
        if left is not None and part.documents >= left:
            yield dataclasses.replace(part, documents=left)
            return
        yield part
        left = None if left is None else left - part.documents


def _load(folder: Folder, part: TextPart) -> pa.RecordBatch:
    return read_batch(folder, part.file).slice(0, part.documents)
