"""A corpus by its spec: opened if a whole one is there, else built beside and put in place when whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from repro.corpus import share
from repro.corpus.corpus import Corpus
from repro.corpus.manifest import FILE, SCHEMA_VERSION
from repro.corpus.sources import open_source
from repro.corpus.spool import ingest
from repro.corpus.writer import CorpusWriter
from repro.errors import UserError
from repro.spec import CorpusSpec, canonical
from repro.storage import Folder, scratch_prefix


def build(
    spec: CorpusSpec,
    vocab: int,
    sequence: int,
    root: Folder | str | os.PathLike[str],
    progress: Callable[[str], object] | None = None,
    shard_rows: int | None = None,
) -> Corpus:
    """The corpus that `spec` names, built under `root` unless a whole one is there.

    Args:
        spec: the text and how it is cut.
        vocab: vocabulary of the model, in tokens.
        sequence: sequence length of the model, in tokens.
        root: a folder; or the URI of one on an object store, where it is published and from where it is copied.
        progress: told what is being done, a line at a time.
        shard_rows: the most rows a shard may have; by default as many as fill shards.SHARD_BYTES.

    Raises:
        UserError: no text, not the text that text_sha256 names, too little of it, or a damaged folder.
    """
    say = progress or (lambda line: None)
    place = root if isinstance(root, Folder) else Folder.open(root)
    folder = folder_of(spec, vocab, sequence, place)
    root = folder.parent
    if not place.is_local and not folder.exists() and (place / folder.name).exists(FILE):
        say(f"corpus {spec.name}: copying it from {place}")
        share.copy_in(place / folder.name)
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        # What a killed build leaves is a hidden scratch folder, which nothing ever opens and the next build removes.
        Folder.open(root).tidy()
        with tempfile.TemporaryDirectory(prefix=scratch_prefix(folder.name), dir=root) as scratch:
            whole = Path(scratch) / folder.name
            say(f"corpus {spec.name}: reading the text")
            spool = ingest(spec, Path(scratch) / "text.arrow")
            _check_text(spec, spool.sha256)
            CorpusWriter(spec, vocab, sequence, spool, whole, say, shard_rows).write()
            try:
                whole.rename(folder)
            except OSError:
                if not folder.exists():  # else another process built the same corpus first
                    raise
    corpus = Corpus(folder)
    _check_text(spec, corpus.manifest.text_sha256)
    if not place.is_local:
        share.publish(corpus, place)
    return corpus


def folder_of(spec: CorpusSpec, vocab: int, sequence: int, root: Folder | str | os.PathLike[str]) -> Path:
    """Where on this machine the corpus that `spec` names lies, or will once it is built or copied from `root`.

    Raises:
        UserError: the source isn't there.
    """
    place = root if isinstance(root, Folder) else Folder.open(root)
    local = Path(place.path) if place.is_local else share.cache()
    return local / _folder_name(spec, vocab, sequence, open_source(spec).content(local))


def _folder_name(spec: CorpusSpec, vocab: int, sequence: int, content: str) -> str:
    """NAME-vVOCAB-sSEQUENCE-HASH. text_sha256 checks the text and makes no other corpus of it."""
    identity = [SCHEMA_VERSION, canonical(dataclasses.replace(spec, text_sha256=None)), vocab, sequence, content]
    name = re.sub(r"[^\w.]+", "-", spec.name).strip("-.")
    return f"{name}-v{vocab}-s{sequence}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]}"


def _check_text(spec: CorpusSpec, found: str) -> None:
    if spec.text_sha256 is not None and spec.text_sha256 != found:
        raise UserError(
            "the text is not the one that was declared",
            file=f"{spec.source} {spec.name}",
            key="corpus.text_sha256",
            found=found,
            expected=spec.text_sha256,
        )
