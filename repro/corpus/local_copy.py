"""Corpora for machines without a shared disk: published under a URI, and copied to each machine once, by the first process there that needs them.

A copy grows in a hidden folder, which holds its lock and its finished files until it is whole. When a process is killed
the kernel frees its lock, and the next one keeps the finished files.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from repro.console import homes
from repro.console.progress import TimedProgress
from repro.corpus import manifest
from repro.corpus.build_dir import POLL, exclusive, remove
from repro.corpus.corpus import Corpus
from repro.corpus.encode import TOKENIZER
from repro.corpus.manifest import Manifest, ShardFile
from repro.errors import DISK_FULL, UserError
from repro.store import transfer
from repro.store.folder import Folder
from repro.store.run_folder import Stopped

STREAMS = 8  # files copied at once: a store sends one at 50 to 100 MB/s, and a node takes several GB/s
GB = 10**9


def cache() -> Path:
    """This machine's cache folder of corpora."""
    return homes.cache() / "sparse-scaling" / "corpora"


def fetch(source: Folder, say: Callable[[str], object], asked: Callable[[], bool] = bool) -> Path:
    """The folder of this machine's copy of a published corpus, made if it isn't there.

    Args:
        source: the published corpus.
        say: called with lines of progress, also while another process makes the copy.
        asked: returns whether to give up; called every POLL seconds.

    Raises:
        UserError: there is no such corpus, it is damaged, or the disk has no room for it.
        Stopped: `asked` returned true.
    """
    folder = cache() / source.name  # the name ends in a hash of the contents
    if folder.exists():
        return folder
    own = folder.parent / f".{source.name}.copy"
    whole, progress = own / "corpus", TimedProgress(say, f"corpus {source.name}")

    def waits() -> None:
        if asked():
            raise Stopped(f"while another process copied {source}")
        progress.repeat(lambda: f"another process copies it, {_size(whole) / GB:.1f} GB so far; waiting")

    with exclusive(own, waits):
        try:
            if not folder.exists():
                _copy(source, Folder.open(whole), progress, asked)
                Corpus(whole)  # raises if the files don't fit the manifest
                whole.rename(folder)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise _no_room(_left(Manifest.read(source), whole)) from error
            raise
        finally:
            if not whole.exists():  # it is moved away, or nothing has been copied
                remove(own)
    return folder


def _copy(source: Folder, whole: Folder, progress: TimedProgress, asked: Callable[[], bool]) -> None:
    """Copies what is missing in `whole`, several files at once, each checked against its hash as it arrives."""
    made, said = Manifest.read(source), source.read(manifest.FILE)
    if not whole.exists(manifest.FILE) or whole.read(manifest.FILE) != said:
        whole.delete()  # files of another corpus of this name
        whole.write(manifest.FILE, said)
    hashes = {TOKENIZER: made.tokenizer_sha256} | {shard.file: shard.sha256 for shard in _shards(made)}
    for name in set(whole.names()) - hashes.keys() - {manifest.FILE}:
        whole.delete(name)  # scratch of a killed process
    left = _left(made, Path(whole.path))
    if left > shutil.disk_usage(whole.path).free:
        raise _no_room(left)
    unwanted, before = threading.Event(), _size(Path(whole.path))
    progress.begin(f"copying it from {source}", left, "GB", scale=GB)
    with ThreadPoolExecutor(STREAMS) as threads:
        waiting = {
            threads.submit(_arrive, source, name, sha256, whole, unwanted)
            for name, sha256 in hashes.items()
            if not whole.exists(name)
        }
        try:
            while waiting:
                done, waiting = wait(waiting, POLL, FIRST_EXCEPTION)
                _raise_first(done)
                progress.advance(max(0, _size(Path(whole.path)) - before - progress.done))
                if asked():
                    raise Stopped(f"while {source} was copied")
        except BaseException:
            unwanted.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _arrive(source: Folder, name: str, sha256: str, whole: Folder, unwanted: threading.Event) -> None:
    def arrived(_: int) -> None:
        if unwanted.is_set():
            raise Stopped("another file could not be copied, or nobody waits for this one")

    try:
        transfer.copy(source, name, whole, sha256=sha256, arrived=arrived)
    except FileNotFoundError as error:
        raise UserError("an incomplete corpus", file=f"{source}/{name}", found="no such file") from error


def _raise_first(done: set[Future[None]]) -> None:
    """Raises what a copy has raised; rather a fault of the corpus than an error that another try may spare."""
    errors = [error for copy in done if (error := copy.exception()) is not None]
    for error in sorted(errors, key=lambda error: not isinstance(error, UserError)):
        raise error


def _shards(made: Manifest) -> tuple[ShardFile, ...]:
    return made.heldout.shards + made.train.shards


def _left(made: Manifest, whole: Path) -> int:
    """Bytes of the shards that are not in `whole` yet."""
    return sum(shard.bytes for shard in _shards(made) if not (whole / shard.file).exists())


def _size(folder: Path) -> int:
    """Bytes of a folder's files, which others write and rename meanwhile."""
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    except FileNotFoundError:
        return 0


def _no_room(wanted: int) -> UserError:
    free = shutil.disk_usage(cache()).free
    return UserError(
        "no room for this machine's copy of the corpus",
        file=cache(),
        found=f"{free / GB:,.1f} GB free",
        expected=f"{wanted / GB:,.1f} GB free; or set XDG_CACHE_HOME to a larger disk",
    )


def publish(corpus: Corpus, root: Folder) -> None:
    """Copies a corpus to `root`, its manifest last, unless it is there already."""
    source, target = Folder.open(corpus.folder), root / corpus.folder.name
    if target.exists(manifest.FILE):
        return
    for name in (TOKENIZER, *(shard.file for shard in _shards(corpus.manifest)), manifest.FILE):
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
    return Corpus(Path(source.path) if source.is_local else fetch(source, say, asked))
