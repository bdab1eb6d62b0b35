"""A corpus by its spec: opened if a whole one is there, else built beside and put in place when whole."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from repro.corpus import publish
from repro.corpus.build_dir import alone, empty, go_on, remove, work_name
from repro.corpus.corpus import Corpus
from repro.corpus.declared import check_tokens
from repro.corpus.extract import PART_BYTES, ingest
from repro.corpus.manifest import FILE, SCHEMA_VERSION
from repro.corpus.overlap import HASHES
from repro.corpus.packing import token_dtype
from repro.corpus.pool import Here, Pool
from repro.corpus.pretrained import load_pretrained
from repro.corpus.progress import BuildProgress
from repro.corpus.shards import SHARD_BYTES
from repro.corpus.sources import open_source
from repro.corpus.writer import CorpusWriter
from repro.errors import UserError
from repro.spec import CorpusSpec, canonical
from repro.store.folder import Folder


def build(
    spec: CorpusSpec,
    vocab: int,
    sequence: int,
    root: Folder | str | os.PathLike[str],
    progress: Callable[[str], object] | None = None,
    shard_bytes: int = SHARD_BYTES,
    pool: Pool | None = None,
    part_bytes: int = PART_BYTES,
) -> Corpus:
    """The corpus that `spec` names, built under `root` unless a whole one is there.

    A build that is killed is gone on from by the next one; and the rows are the same, whoever the pool is.

    Args:
        spec: the text and how it is cut.
        vocab: vocabulary of the model, in tokens.
        sequence: sequence length of the model, in tokens.
        root: a folder; or the URI of one on an object store, where it is published and from where it is copied.
        progress: told what is being done, a line at a time.
        shard_bytes: of tokens that a shard may have, at most.
        pool: who reads and encodes; None is this process.
        part_bytes: of text that a worker encodes at a time, which is what a kill may cost each.

    Raises:
        UserError: no text, not the text that text_sha256 names, too little of it, or a damaged folder.
    """
    check_tokens(vocab, sequence)
    say = BuildProgress(progress or (lambda line: None), spec.name)
    place = root if isinstance(root, Folder) else Folder.open(root)
    folder = folder_of(spec, vocab, sequence, place)
    if not place.is_local and not folder.exists() and (place / folder.name).exists(FILE):
        say.line(f"copying it from {place}")
        publish.copy_in(place / folder.name)
    pool = pool or Here()
    hidden = work_name(folder.name)
    own = folder.parent / hidden
    if not folder.exists() or own.exists():
        # What workers of other machines need lies where they see it: beside the corpus, or beside its published copy.
        work = place / hidden if pool.anywhere and not place.is_local else Folder.open(own)
        Folder.open(own).check_writable(key="storage.corpus")  # before the text is read, which may take hours
        with alone(own, lambda: say.line("another process builds it; waiting")):
            if not folder.exists():
                Folder.open(own).tidy()
                rows = max(1, shard_bytes // ((sequence + 1) * token_dtype(vocab).itemsize))
                _build(spec, vocab, sequence, folder, own, work, pool, say, rows, part_bytes)
            work.delete()
            remove(own)
    corpus = Corpus(folder)
    _check_text(spec, corpus.manifest.text_sha256)
    if not place.is_local:
        publish.publish(corpus, place)
    return corpus


def _build(
    spec: CorpusSpec,
    vocab: int,
    sequence: int,
    folder: Path,
    own: Path,
    work: Folder,
    pool: Pool,
    say: BuildProgress,
    shard_rows: int,
    part_bytes: int,
) -> None:
    """Builds in the hidden folders `own`, of this machine, and `work`, and puts the corpus in place when it is whole."""
    kind = {
        "schema_version": SCHEMA_VERSION,
        "tokenizers": importlib.metadata.version("tokenizers"),
        "shard_rows": shard_rows,
        "pieces": open_source(spec).pieces,
        "part_bytes": part_bytes,
        "hashes": HASHES,
    }
    if go_on(own, work, kind):
        say.line("going on from what an earlier build has done")
    pretrained = None
    if spec.tokenizer != "bpe":  # before the text is read, which may take hours: there may be no such tokenizer
        say.line(f"loading the tokenizer {spec.tokenizer}")
        pretrained = load_pretrained(spec.tokenizer, vocab)
    whole = own / "corpus"
    whole.mkdir(exist_ok=True)
    spool = ingest(spec, work, pool, say, part_bytes)
    try:
        _check_text(spec, spool.sha256)
    except UserError:
        empty(work)  # the next build is to read the text that is there then
        raise
    CorpusWriter(spec, vocab, sequence, spool, whole, work, pool, say, shard_rows, pretrained).write()
    try:
        whole.rename(folder)
    except OSError:
        if not folder.exists():  # else another machine that sees this disk was first
            raise


def folder_of(spec: CorpusSpec, vocab: int, sequence: int, root: Folder | str | os.PathLike[str]) -> Path:
    """Where on this machine the corpus that `spec` names lies, or will once it is built or copied from `root`.

    Raises:
        UserError: the source isn't there.
    """
    place = root if isinstance(root, Folder) else Folder.open(root)
    local = Path(place.path) if place.is_local else publish.cache()
    return local / _folder_name(spec, vocab, sequence, open_source(spec).content(local))


def _folder_name(spec: CorpusSpec, vocab: int, sequence: int, content: str) -> str:
    """NAME-vVOCAB-sSEQUENCE-HASH. text_sha256 checks the text and makes no other corpus of it."""
    identity = [SCHEMA_VERSION, canonical(dataclasses.replace(spec, text_sha256=None)), vocab, sequence, content]
    name = re.sub(r"[^\w.]+", "-", spec.name).strip("-.").encode()[:150].decode(errors="ignore") or "text"
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
