"""One copy of a store's corpus on each machine: real processes that need it at once, at a server that counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from repro.corpus import Corpus, local_copy, obtain
from repro.errors import UserError
from repro.store.folder import Folder
from repro.store.run_folder import Stopped
from tests.repro.training.failing import tmpfs
from tests.stores import BUCKET, s3
from tests.sweeps.driving import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PLACE = f"s3://{BUCKET}/corpora"
# Imports once, and is then so many processes.
OBTAIN = """
import os, sys
from repro.corpus import obtain
for _ in range(int(sys.argv[2])):
    if os.fork() == 0:
        def say(line):
            os.write(1, f"{os.getpid()} {line}\\n".encode())
        say(f"obtained {obtain(sys.argv[1], say).folder}")
        os._exit(0)
for _ in range(int(sys.argv[2])):
    os.wait()
"""


@dataclass
class Gate:
    """Counts the requests for shards, and lets only so many of them through while it is closed."""

    asked: Counter[str] = field(default_factory=Counter)
    left: threading.Semaphore | None = None

    def through(self, app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            path = environ["PATH_INFO"]
            if environ["REQUEST_METHOD"] == "GET" and path.endswith(".arrow"):
                self.asked[path.rpartition("/")[2]] += 1
                if self.left is not None:
                    self.left.acquire()
            return app(environ, start)

        return answer

    @contextmanager
    def closed_after(self, requests: int) -> Iterator[None]:
        self.left = threading.Semaphore(requests)
        yield
        self.left.release(1000)
        self.left = None


@pytest.fixture(scope="module")
def gate(pydoc_corpus: Corpus) -> Iterator[Gate]:
    """Of a server that has the corpus."""
    gate = Gate()
    with s3(through=gate.through):
        local_copy.publish(pydoc_corpus, Folder.open(PLACE))
        yield gate


@pytest.fixture
def place(gate: Gate, pydoc_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The corpus's URI, on a machine that has no copy yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    gate.asked.clear()
    return f"{PLACE}/{pydoc_corpus.folder.name}"


@contextmanager
def at_once(count: int, place: str) -> Iterator[Callable[[str], set[int]]]:
    """Processes that ask for the corpus at once. Yields what tells which of them have said a thing."""
    lines: list[str] = []
    command = [sys.executable, "-c", OBTAIN, place, str(count)]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    thread = threading.Thread(target=lambda: lines.extend(iter(parent.stdout.readline, "")))  # type: ignore[union-attr]
    thread.start()
    try:
        yield lambda what: {int(line.split()[0]) for line in lines if what in line}
        parent.wait(120)
    finally:
        parent.kill()
        thread.join(60)


def test_eight_processes_of_one_machine_download_a_corpus_once(place: str, gate: Gate, pydoc_corpus: Corpus) -> None:
    with gate.closed_after(0), at_once(8, place) as said:
        until(lambda: len(said("another process copies it")) == 7)
        gate.left.release(1000)  # type: ignore[union-attr]
    folder = local_copy.cache() / pydoc_corpus.folder.name
    assert len(said(f"obtained {folder}")) == 8
    shards = (*pydoc_corpus.manifest.train.shards, *pydoc_corpus.manifest.heldout.shards)
    assert len(shards) > 3
    assert gate.asked == Counter(shard.file for shard in shards)  # each once
    Corpus(folder).verify()
    assert list(local_copy.cache().iterdir()) == [folder]


def test_when_the_process_that_copies_is_killed_the_next_goes_on_with_its_finished_files(
    place: str, gate: Gate, pydoc_corpus: Corpus
) -> None:
    own = local_copy.cache() / f".{pydoc_corpus.folder.name}.copy" / "corpus"
    with gate.closed_after(2), at_once(3, place) as said:
        until(lambda: len(said("another process copies it")) == 2 and len(list(own.glob("*.arrow"))) == 2)
        finished = {path.name for path in own.glob("*.arrow")}
        [holder] = said("copying it from")
        os.kill(holder, signal.SIGKILL)
        until(lambda: len(said("copying it from")) == 2)
        gate.left.release(1000)  # type: ignore[union-attr]
    folder = local_copy.cache() / pydoc_corpus.folder.name
    assert len(said(f"obtained {folder}") - {holder}) == 2
    assert {gate.asked[name] for name in finished} == {1}
    Corpus(folder).verify()
    assert list(local_copy.cache().iterdir()) == [folder]


def test_a_copy_ends_when_it_is_asked_to_and_leaves_no_corpus(place: str, gate: Gate, pydoc_corpus: Corpus) -> None:
    def asked() -> bool:
        threading.Timer(0.1, gate.left.release, [1000]).start()  # type: ignore[union-attr]
        return True

    with gate.closed_after(0), pytest.raises(Stopped):
        obtain(place, asked=asked)
    assert not (local_copy.cache() / pydoc_corpus.folder.name).exists()
    assert obtain(place).hash == pydoc_corpus.hash


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tmpfs(tmp_path / "disk", 1) as disk:
        monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
        yield disk


def test_a_disk_without_room_for_the_copy_is_said_before_anything_is_copied(
    gate: Gate, pydoc_corpus: Corpus, small_disk: Path
) -> None:
    (small_disk / "other").write_bytes(bytes(900_000))
    gate.asked.clear()
    with pytest.raises(UserError, match="no room") as refused:
        obtain(f"{PLACE}/{pydoc_corpus.folder.name}")
    assert "GB free" in str(refused.value)
    assert gate.asked == Counter()
