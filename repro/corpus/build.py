"""The corpus of a spec: opened if it exists, else built in a hidden folder and moved into place when complete."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import importlib.metadata
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from repro.console.progress import TimedProgress
from repro.corpus import local_copy
from repro.corpus.bpe import TRAINED
from repro.corpus.build_dir import build_dir_name, clear, exclusive, remove, resume_or_clear
from repro.corpus.corpus import Corpus, CorpusSummary
from repro.corpus.declared import check_tokens
from repro.corpus.extract import PART_BYTES, extract
from repro.corpus.manifest import FILE, SCHEMA_VERSION
from repro.corpus.overlap import HASHES
from repro.corpus.packing import token_dtype
from repro.corpus.pool import Pool
from repro.corpus.pretrained import load_pretrained
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
    """The corpus that `spec` describes, built under `root` unless it is there already.

    A killed build is resumed by the next one. The rows don't depend on the pool.

    Args:
        spec: the text, its tokenizer and its packing.
        vocab: vocabulary of the model, in tokens.
        sequence: sequence length of the model, in tokens.
        root: a folder, or the URI of one on an object store, to which the corpus is published or from which it is
            copied.
        progress: called with each line of progress.
        shard_bytes: maximum bytes of tokens in a shard.
        pool: what reads and encodes the text; None means this process.
        part_bytes: bytes of text that a worker encodes at a time, so also the work that a kill costs each worker.

    Raises:
        UserError: no text or too little of it, text whose hash isn't text_sha256, or a damaged folder.
    """
    check_tokens(vocab, sequence)
    progress = progress or (lambda line: None)
    say = TimedProgress(progress, f"corpus {spec.name}")
    place = root if isinstance(root, Folder) else Folder.open(root)
    folder = folder_of(spec, vocab, sequence, place)
    if not place.is_local and not folder.exists() and (place / folder.name).exists(FILE):
        local_copy.fetch(place / folder.name, progress)
    pool = pool or Pool()
    hidden = build_dir_name(folder.name)
    own = folder.parent / hidden
    if not folder.exists() or own.exists():
        # Workers on other machines must see the build folder: it is beside the corpus or its published copy.
        work = place / hidden if pool.anywhere and not place.is_local else Folder.open(own)
        Folder.open(own).check_writable(key="storage.corpus")  # before the text is read, which may take hours
        with exclusive(own, lambda: say.repeat(lambda: "another process builds it; waiting")):
            if not folder.exists():
                Folder.open(own).tidy()
                rows = max(1, shard_bytes // ((sequence + 1) * token_dtype(vocab).itemsize))
                _build(spec, vocab, sequence, folder, own, work, pool, say, rows, part_bytes)
            work.delete()
            remove(own)
    corpus = Corpus(folder)
    _check_text(spec, corpus.manifest.text_sha256)
    if not place.is_local:
        local_copy.publish(corpus, place)
    return corpus


def published(spec: CorpusSpec, vocab: int, sequence: int, root: str) -> CorpusSummary | None:
    """What `root` has of the corpus that `spec` describes, without a copy; None if `root` is no store, or hasn't got it.

    Raises:
        UserError: the source doesn't exist, or its text isn't the declared one.
    """
    place = Folder.open(root)
    folder = place / folder_of(spec, vocab, sequence, place).name
    if place.is_local or not folder.exists(FILE):
        return None
    found = CorpusSummary(folder)
    _check_text(spec, found.manifest.text_sha256)
    return found


def on_this_machine(
    spec: CorpusSpec, vocab: int, sequence: int, root: Folder | str | os.PathLike[str]
) -> CorpusSummary | None:
    """What this machine has of the corpus that `spec` describes; None if it hasn't got it. Text isn't hashed in vain.

    Raises:
        UserError: the source doesn't exist, or the corpus is damaged.
    """
    place = root if isinstance(root, Folder) else Folder.open(root)
    local = Path(place.path) if place.is_local else local_copy.cache()
    if not any(local.glob(f"{glob.escape(_stem(spec, vocab, sequence))}-*/{FILE}")):
        return None
    folder = folder_of(spec, vocab, sequence, place)
    return CorpusSummary(folder) if folder.exists() else None


def _build(
    spec: CorpusSpec,
    vocab: int,
    sequence: int,
    folder: Path,
    own: Path,
    work: Folder,
    pool: Pool,
    say: TimedProgress,
    shard_rows: int,
    part_bytes: int,
) -> None:
    """Builds in the hidden folders `own` (on this machine) and `work`; moves the corpus into place when complete."""
    kind = {
        "schema_version": SCHEMA_VERSION,
        "tokenizers": importlib.metadata.version("tokenizers"),
        "shard_rows": shard_rows,
        "pieces": open_source(spec).pieces,
        "part_bytes": part_bytes,
        "hashes": HASHES,
    }
    if resume_or_clear(own, work, kind):
        say.line("resuming an earlier build")
    pretrained = None
    if spec.tokenizer not in TRAINED:  # before the text is read, which may take hours: the tokenizer may not exist
        say.line(f"loading the tokenizer {spec.tokenizer}")
        pretrained = load_pretrained(spec.tokenizer, vocab)
    whole = own / "corpus"
    whole.mkdir(exist_ok=True)
    extracted = extract(spec, work, pool, say, part_bytes)
    try:
        _check_text(spec, extracted.sha256)
    except UserError:
        clear(work)  # so that the next build reads the source again
        raise
    CorpusWriter(spec, vocab, sequence, extracted, whole, work, pool, say, shard_rows, pretrained).write()
    try:
        whole.rename(folder)
    except OSError:
        if not folder.exists():  # else another machine that sees this disk was first
            raise


def folder_of(spec: CorpusSpec, vocab: int, sequence: int, root: Folder | str | os.PathLike[str]) -> Path:
    """The folder on this machine that holds the corpus of `spec`, or will after building or copying from `root`.

    Raises:
        UserError: the source doesn't exist.
    """
    place = root if isinstance(root, Folder) else Folder.open(root)
    local = Path(place.path) if place.is_local else local_copy.cache()
    return local / _folder_name(spec, vocab, sequence, open_source(spec).content(local))


def _folder_name(spec: CorpusSpec, vocab: int, sequence: int, content: str) -> str:
    """NAME-vVOCAB-sSEQUENCE-HASH. text_sha256 is left out of the hash: it only checks the text."""
    identity = [SCHEMA_VERSION, canonical(dataclasses.replace(spec, text_sha256=None)), vocab, sequence, content]
    return f"{_stem(spec, vocab, sequence)}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]}"


def _stem(spec: CorpusSpec, vocab: int, sequence: int) -> str:
    name = re.sub(r"[^\w.]+", "-", spec.name).strip("-.").encode()[:150].decode(errors="ignore") or "text"
    return f"{name}-v{vocab}-s{sequence}"


def _check_text(spec: CorpusSpec, found: str) -> None:
    if spec.text_sha256 is not None and spec.text_sha256 != found:
        raise UserError(
            "the text is not the one that was declared",
            file=f"{spec.source} {spec.name}",
            key="corpus.text_sha256",
            found=found,
            expected=spec.text_sha256,
        )
