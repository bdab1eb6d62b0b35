"""Corpora for machines without a shared disk: published under a URI, and copied to each machine that reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from repro.corpus import local_copy, manifest
from repro.corpus.corpus import Corpus
from repro.corpus.encode import TOKENIZER
from repro.errors import UserError
from repro.store import transfer
from repro.store.folder import Folder


def publish(corpus: Corpus, root: Folder) -> None:
    """Copies a corpus to `root`, its manifest last, unless it is there already."""
    source, target = Folder.open(corpus.folder), root / corpus.folder.name
    if target.exists(manifest.FILE):
        return
    shards = (*corpus.manifest.heldout.shards, *corpus.manifest.train.shards)
    for name in (TOKENIZER, *(shard.file for shard in shards), manifest.FILE):
        transfer.copy(source, name, target)


def obtain(place: str, say: Callable[[str], object] = bool, asked: Callable[[], bool] = bool) -> Corpus:
    """The corpus in a folder or at a URI, copied to this machine if need be.

    Args:
        place: the folder or URI of the corpus itself.
        say: called with lines of progress of a copy.
        asked: returns whether to give up copying.

    Raises:
        UserError: there is none, it is damaged, or this machine has no room for it.
        Stopped: `asked` returned true.
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
    return Corpus(Path(source.path) if source.is_local else local_copy.fetch(source, say, asked))
