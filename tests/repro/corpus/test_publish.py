"""A corpus kept on an object store, for machines that share no disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from repro.corpus import Corpus, build, local_copy, obtain
from repro.corpus.pool import Pool
from repro.errors import UserError
from repro.spec import CorpusSpec
from repro.store import transfer
from repro.store.folder import Folder
from tests.stores import BUCKET, s3

pytestmark = pytest.mark.slow

ROOT = f"s3://{BUCKET}/corpora"


@pytest.fixture(scope="module")
def store() -> Iterator[None]:
    with s3():
        yield


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has no copy of anything yet: its cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return local_copy.cache()


def test_who_builds_a_corpus_publishes_it_and_others_copy_it(
    store: None, machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pydoc_spec: CorpusSpec
) -> None:
    said: list[str] = []
    built = build(pydoc_spec, 300, 32, ROOT, progress=said.append)
    assert "reading the text" in said[0]
    published = Folder.open(f"{ROOT}/{built.folder.name}")
    names = [name for name, _ in transfer.files(published)]
    assert names == sorted(path.name for path in built.folder.iterdir())

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "worker"))
    copied = obtain(f"{ROOT}/{built.folder.name}")
    assert copied.folder.parent == local_copy.cache() != built.folder.parent
    assert copied.hash == built.hash
    assert [path.name for path in local_copy.cache().iterdir()] == [built.folder.name], "something is left beside it"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "driver"))
    said.clear()
    assert build(pydoc_spec, 300, 32, ROOT, progress=said.append).hash == built.hash
    assert [line.split(": ")[1].split()[0] for line in said] == ["copying"]


class Elsewhere(Pool):
    """Workers that see no more of the builder's machine than others do: what they need lies on the store."""

    anywhere = True


def test_workers_of_other_machines_find_text_and_tokens_on_the_store(
    store: None, machine: Path, pydoc_spec: CorpusSpec, pydoc_corpus: Corpus
) -> None:
    root = Folder.open(f"s3://{BUCKET}/elsewhere")
    seen: set[str] = set()

    def look(line: str) -> None:
        seen.update(name.split("-")[0] for name in (root / f".{pydoc_corpus.folder.name}.build").names())

    built = build(pydoc_spec, 300, 32, root, look, shard_bytes=66_000, pool=Elsewhere())
    assert {"text", "heldout"} <= seen
    assert built.manifest == pydoc_corpus.manifest
    assert root.names() == [built.folder.name]


def test_a_damaged_file_is_refused_and_fetched_again_without_the_others(
    store: None, machine: Path, pydoc_corpus: Corpus
) -> None:
    root = Folder.open(f"s3://{BUCKET}/damaged")
    local_copy.publish(pydoc_corpus, root)
    shard = pydoc_corpus.manifest.train.shards[0].file
    place = root / pydoc_corpus.folder.name
    sound = place.read(shard)
    data = bytearray(sound)
    data[-300] ^= 1
    place.write(shard, bytes(data))
    with pytest.raises(UserError, match=shard):
        obtain(f"s3://{BUCKET}/damaged/{pydoc_corpus.folder.name}")
    [kept] = machine.iterdir()  # hidden, so that nobody takes it for a corpus
    assert kept.name == f".{pydoc_corpus.folder.name}.copy"
    others = {path.name: path.stat().st_mtime_ns for path in (kept / "corpus").glob("*.arrow")}
    assert shard not in others
    place.write(shard, sound)
    mended = obtain(f"s3://{BUCKET}/damaged/{pydoc_corpus.folder.name}")
    mended.verify()
    assert others.items() <= {path.name: path.stat().st_mtime_ns for path in mended.folder.iterdir()}.items()
    assert list(machine.iterdir()) == [mended.folder]


def test_a_corpus_half_published_is_none(store: None, machine: Path, pydoc_corpus: Corpus) -> None:
    place = Folder.open(f"s3://{BUCKET}/half/{pydoc_corpus.folder.name}")
    transfer.copy(Folder.open(pydoc_corpus.folder), pydoc_corpus.manifest.train.shards[0].file, place)
    with pytest.raises(UserError, match="not a corpus"):
        obtain(f"s3://{BUCKET}/half/{pydoc_corpus.folder.name}")
    local_copy.publish(pydoc_corpus, Folder.open(f"s3://{BUCKET}/half"))
    assert obtain(f"s3://{BUCKET}/half/{pydoc_corpus.folder.name}").hash == pydoc_corpus.hash


def test_a_path_that_is_not_on_this_machine_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not on this machine") as refused:
        obtain(str(tmp_path / "elsewhere"))
    assert "--corpus s3://" in str(refused.value)


def test_of_a_store_nothing_is_copied_but_what_a_manifest_may_name(
    store: None, machine: Path, pydoc_corpus: Corpus
) -> None:
    root = Folder.open(f"s3://{BUCKET}/hostile")
    local_copy.publish(pydoc_corpus, root)
    place = root / pydoc_corpus.folder.name
    place.write("evil.sh", b"echo")
    place.write("train-99999.arrow", b"")
    copied = obtain(f"s3://{BUCKET}/hostile/{pydoc_corpus.folder.name}")
    assert sorted(path.name for path in copied.folder.iterdir()) == sorted(
        path.name for path in pydoc_corpus.folder.iterdir()
    )


def test_a_damaged_local_copy_of_a_stores_corpus_is_noticed_by_who_reads_it(
    store: None, machine: Path, pydoc_corpus: Corpus
) -> None:
    root = Folder.open(f"s3://{BUCKET}/again")
    local_copy.publish(pydoc_corpus, root)
    place = f"s3://{BUCKET}/again/{pydoc_corpus.folder.name}"
    shard = obtain(place).folder / "train-00000.arrow"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    rows = obtain(place).train
    with pytest.raises(UserError, match=r"train-00000\.arrow"):
        rows.take(np.arange(len(rows)))
