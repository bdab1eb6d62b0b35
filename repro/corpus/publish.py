"""Corpora for machines that share no disk: kept under a URI, copied whole into a cache of each machine that reads them."""

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
    """The folder of this machine's copies."""
    return homes.cache() / "sparse-scaling" / "corpora"


def publish(corpus: Corpus, root: Folder) -> None:
    """Copies a corpus under `root`, its manifest last, unless a whole one is there."""
    source, target = Folder.open(corpus.folder), root / corpus.folder.name
    if target.exists(manifest.FILE):
        return
    for name in _files(corpus.manifest):
        transfer.copy(source, name, target)


def copy_in(source: Folder) -> Path:
    """Copies a published corpus into the cache, unless it is there, held against its hashes. Returns where it is.

    Raises:
        UserError: there is none, or it is damaged.
    """
    folder = cache() / source.name  # the name ends in a hash of what is in it
    if folder.exists():
        return folder
    cache().mkdir(parents=True, exist_ok=True)
    Folder.open(cache()).tidy()
    with tempfile.TemporaryDirectory(prefix=scratch_prefix(source.name), dir=cache()) as scratch:
        whole = Path(scratch) / source.name
        for name in _files(Manifest.read(source)):  # and nothing else that lies there, under whatever name
            if not source.exists(name):
                raise UserError("a corpus that isn't whole", file=f"{source}/{name}", found="no such file")
            transfer.copy(source, name, Folder.open(whole))
        Corpus(whole).verify()
        try:
            whole.rename(folder)
        except OSError:
            if not folder.exists():  # else another process of this machine was first
                raise
    return folder


def _files(of: Manifest) -> list[str]:
    """Names of the files of a corpus, the manifest last."""
    return [TOKENIZER, *(shard.file for split in (of.heldout, of.train) for shard in split.shards), manifest.FILE]


def obtain(place: str) -> Corpus:
    """The corpus of a folder, or of a URI.

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
    return Corpus(Path(source.path) if source.is_local else copy_in(source))
