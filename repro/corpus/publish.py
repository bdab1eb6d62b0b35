"""Corpora for machines without a shared disk: published under a URI and copied to a cache on each machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from repro.console import homes
from repro.corpus import manifest
from repro.corpus.corpus import Corpus
from repro.corpus.encode import TOKENIZER
from repro.corpus.manifest import Manifest
from repro.errors import UserError
from repro.store import transfer
from repro.store.folder import Folder, scratch_prefix


def cache() -> Path:
    """This machine's cache folder of corpora."""
    return homes.cache() / "sparse-scaling" / "corpora"


def publish(corpus: Corpus, root: Folder) -> None:
    """Copies a corpus to `root`, its manifest last, unless it is there already."""
    source, target = Folder.open(corpus.folder), root / corpus.folder.name
    if target.exists(manifest.FILE):
        return
    for name in _files(corpus.manifest):
        transfer.copy(source, name, target)


def fetch(source: Folder) -> Path:
    """Copies a published corpus to the cache, unless it is there, and verifies it. Returns its folder.

    Raises:
        UserError: there is none, or it is damaged.
    """
    folder = cache() / source.name  # the name ends in a hash of the contents
    if folder.exists():
        return folder
    cache().mkdir(parents=True, exist_ok=True)
    Folder.open(cache()).tidy()
    with tempfile.TemporaryDirectory(prefix=scratch_prefix(source.name), dir=cache()) as scratch:
        whole = Path(scratch) / source.name
        for name in _files(Manifest.read(source)):  # and no other files
            if not source.exists(name):
                raise UserError("an incomplete corpus", file=f"{source}/{name}", found="no such file")
            transfer.copy(source, name, Folder.open(whole))
        Corpus(whole).verify()
        try:
            whole.rename(folder)
        except OSError:
            if not folder.exists():  # else another process on this machine was first
                raise
    return folder


def _files(of: Manifest) -> list[str]:
    """File names of a corpus, the manifest last."""
    return [TOKENIZER, *(shard.file for split in (of.heldout, of.train) for shard in split.shards), manifest.FILE]


def obtain(place: str) -> Corpus:
    """The corpus in a folder or at a URI, copied to this machine if need be.

    Raises:
        UserError: there is none, or it is damaged.
    """
    source = Folder.open(place)
    if source.is_local and not source.exists():
        raise UserError(
            "the corpus is not on this machine",
            file=place,
            key="storage.corpus",
            found="no such folder",
            expected="a folder that every node sees at this path, or a URI: --corpus s3://bucket/corpora",
        )
    return Corpus(Path(source.path) if source.is_local else fetch(source))
