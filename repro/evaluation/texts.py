"""The evaluation text, a corpus' held-out split or files, as tokens of the evaluated model."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from repro import paths
from repro.corpus import Corpus, build, declared, obtain
from repro.corpus.files import FilesSource
from repro.corpus.manifest import FILE
from repro.corpus.packing import Packing, padding
from repro.corpus.records import SUFFIXES
from repro.errors import UserError
from repro.evaluation.reader import TextReader, Tokens, between


@dataclass(frozen=True)
class Text:
    """A text as tokens of one model. Windows don't cross `documents`; all lists have one entry per document.

    Attributes:
        name, hash: name and hash of the corpus, or names of the files and hash of their text.
        packing: "concatenate": one stream of documents, as the corpus is packed; "documents": separate documents.
        row: tokens of a corpus row, i.e. of a training sequence; None if the text was retokenized.
        documents: token ids. bytes, words: what each token adds to the text.
    """

    name: str
    hash: str
    packing: Packing
    row: int | None
    documents: list[np.ndarray]
    bytes: list[np.ndarray]
    words: list[np.ndarray]


def find(
    place: str, text_field: str, root: str | None, progress: Callable[[str], object] | None = None
) -> Corpus | FilesSource:
    """Opens CORPUS: a corpus' folder or URI, a sweep file, or text files.

    Args:
        text_field: text field of JSON lines and Parquet.
        root: root of the corpora, instead of the sweep file's; a sweep's corpus is built there if missing.
        progress: called with lines of progress when building.

    Raises:
        UserError: it doesn't exist, or is something else.
    """
    place = paths.expand(place)
    if place.lower().endswith((".yaml", ".yml")):
        spec, vocab, sequence, own = declared(place)
        return build(spec, vocab, sequence, root or own, progress)
    if "://" in place or os.path.isdir(place):
        if "://" not in place and not os.path.exists(os.path.join(place, FILE)):
            raise UserError(
                "a folder that isn't a corpus",
                file=place,
                found=f"no {FILE}",
                expected=f"a corpus' folder; or for text files a pattern: '{place.rstrip('/')}/*.txt'",
            )
        return obtain(place)
    source = FilesSource((place,), text_field)
    if not os.path.exists(place) and not glob.has_magic(place) and not place.lower().endswith(SUFFIXES):
        raise UserError(
            "no such text",
            file=place,
            expected=f"a corpus' folder, a sweep's YAML, or files that end in one of: {', '.join(SUFFIXES)}",
        )
    _ = source.files  # raises if there are none
    return source


def read(source: Corpus | FilesSource, reader: TextReader) -> Text:
    """The text of `source` as tokens of the reader's model.

    For a corpus with the same tokenizer these are the held-out rows as packed. Any other text is retokenized, each
    document separately.

    Raises:
        UserError: no text, or a damaged shard.
    """
    if isinstance(source, FilesSource):
        return _of_files(source, reader)
    source.heldout.verify()
    name, pieces = source.manifest.spec.name, list(_pieces(source))
    texts = [source.tokenizer.decode(piece.body.tolist()) for piece in pieces]
    if not reader.cuts_as(source.tokenizer):
        return _apart(name, source.hash, _anew(texts, reader))
    bodies = reader.measure(texts, [piece.body for piece in pieces])
    found = [between(body, piece.bos, piece.eos) for body, piece in zip(bodies, pieces, strict=True)]
    row = source.manifest.sequence + 1
    if source.manifest.spec.packing == "documents":
        return _apart(name, source.hash, found, row)
    stream = Tokens(*map(np.concatenate, zip(*found, strict=True)))
    return Text(name, source.hash, "concatenate", row, [stream.ids], [stream.bytes], [stream.words])


# -------------------------------------------------------------------------------------------------- inside


class _Piece(NamedTuple):
    """A document of a row, or the part of it that is in the row, and its marks; None if they are cut off."""

    bos: int | None
    body: np.ndarray
    eos: int | None


def _pieces(corpus: Corpus) -> Iterator[_Piece]:
    bos, eos = corpus.manifest.bos, corpus.manifest.eos
    rows: Iterable[np.ndarray] = (row for view in corpus.heldout.views for row in view)
    if corpus.manifest.spec.packing == "concatenate":
        rows = [np.concatenate([view.reshape(-1) for view in corpus.heldout.views])]
    for row in rows:
        row = row[row != padding(row.dtype)].astype(np.int64)
        begins = np.flatnonzero(row == bos)
        for piece in np.split(row, begins[::2] if bos == eos else begins):  # if both are one id, every other is a BOS
            if len(piece):
                starts, ends = piece[0] == bos, len(piece) > 1 and piece[-1] == eos
                body = piece[int(starts) : len(piece) - int(ends)]
                yield _Piece(bos if starts else None, body, eos if ends else None)


def _of_files(source: FilesSource, reader: TextReader) -> Text:
    digest, texts = hashlib.sha256(), []
    for document in source.documents():
        data = document.text.encode("utf-8", "replace")  # JSON may contain lone surrogates, which UTF-8 can't encode
        digest.update(data + b"\0")
        texts.append(data.decode())
    name = ", ".join(source.paths)
    if not any(text.strip() for text in texts):
        raise UserError("an empty text", file=name, expected="at least one document")
    return _apart(name, digest.hexdigest()[:12], _anew(texts, reader))


def _anew(texts: list[str], reader: TextReader) -> list[Tokens]:
    return reader.read([text for text in texts if text.strip()])


def _apart(name: str, hash: str, found: list[Tokens], row: int | None = None) -> Text:
    ids, sizes, words = (list(each) for each in zip(*found, strict=True))
    return Text(name, hash, "documents", row, ids, sizes, words)
