"""One corpus, byte for byte, whoever builds it, how many at a time, and however often it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
import ray

from bench.corpus import write
from repro.corpus import Corpus, build
from repro.corpus.pool import Pool, RayPool, pool_of
from repro.errors import UserError
from repro.spec import CorpusSpec

pytestmark = [pytest.mark.slow, pytest.mark.long]

VOCAB, SEQUENCE, SHARD_BYTES, PART_BYTES = 512, 64, 260_000, 100_000


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> CorpusSpec:
    """Two files as C4 has them, of a megabyte each, which are read apart."""
    paths = write(tmp_path_factory.mktemp("c4"), size=2_200_000, files=2, package="pydoc", level=0)
    return CorpusSpec("files", "c4-like", paths=(paths,), heldout_fraction=0.05)


@pytest.fixture(scope="module")
def reference(spec: CorpusSpec, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Built by this process in one go and in one part."""
    return build(spec, VOCAB, SEQUENCE, tmp_path_factory.mktemp("reference"), shard_bytes=SHARD_BYTES)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with pool_of(4, None):
        yield


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def assert_same(found: Corpus, expected: Corpus) -> None:
    assert found.folder.name == expected.folder.name
    assert contents(found.folder) == contents(expected.folder)
    beside = [
        name for name in os.listdir(found.folder.parent) if not name.startswith(".files-")
    ]  # hashes of the source
    assert beside == [found.folder.name], "something is left beside it"


def test_the_parts_of_the_text_leave_no_trace(spec: CorpusSpec, reference: Corpus, tmp_path: Path) -> None:
    assert len(reference.train.shards) > 3
    found = build(spec, VOCAB, SEQUENCE, tmp_path, shard_bytes=SHARD_BYTES, part_bytes=PART_BYTES)
    assert_same(found, reference)


@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.full), 2, pytest.param(4, marks=pytest.mark.full)]
)
def test_any_number_of_workers_builds_the_same_bytes(
    spec: CorpusSpec, reference: Corpus, cluster: None, tmp_path: Path, workers: int
) -> None:
    pool = RayPool(workers)
    found = build(spec, VOCAB, SEQUENCE, tmp_path, shard_bytes=SHARD_BYTES, part_bytes=PART_BYTES, pool=pool)
    assert_same(found, reference)


def test_what_a_worker_refuses_is_said_as_if_it_were_refused_here(cluster: None, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n{"text": \n')
    spec = CorpusSpec("files", "broken", paths=(f"{tmp_path}/a.jsonl",))
    said = []
    for pool in (Pool(), RayPool(2)):
        with pytest.raises(UserError, match=r"a\.jsonl, line 2") as error:
            build(spec, 260, 16, tmp_path / "corpora", pool=pool)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_a_cluster_that_is_not_there_is_one_message() -> None:
    ray.shutdown()
    with (
        pytest.raises(UserError, match=r"can't be joined[\s\S]*--address[\s\S]*127.0.0.1:1"),
        pool_of(2, "127.0.0.1:1"),
    ):
        pass


BUILD = """
import dataclasses, json, sys
from repro import strict
from repro.corpus import build
from repro.corpus.pool import pool_of
from repro.spec import CorpusSpec

spec, root, workers, vocab, sequence, shard_bytes, part_bytes = json.loads(sys.argv[1])
with pool_of(workers, None) as pool:
    build(strict.build(CorpusSpec, spec), vocab, sequence, root, print, shard_bytes, pool, part_bytes)
"""


def start(spec: CorpusSpec, root: Path, workers: int | None, cut: tuple[int, ...]) -> subprocess.Popen[bytes]:
    arguments = json.dumps([asdict(spec), str(root), workers, *cut])
    return subprocess.Popen([sys.executable, "-c", BUILD, arguments])


def killed_when(process: subprocess.Popen[bytes], work: Path, pattern: str, count: int) -> None:
    """Kills a builder once so many files of its work folder have been there since it began."""
    seen: set[str] = set()
    while len(seen) < count:
        assert process.poll() is None, f"it ended with {len(seen)} files of {pattern}"
        seen |= {path.name for path in work.glob(pattern)}
        time.sleep(0.002)
    family = [process, *psutil.Process(process.pid).children(recursive=True)]
    process.kill()
    assert process.wait() == -signal.SIGKILL
    for child in family[1:]:  # of Ray, which ends by itself when who started it does
        psutil.wait_procs([child], timeout=60)


CUT = (VOCAB, SEQUENCE, SHARD_BYTES, PART_BYTES)
KILLS = [
    ("text-*.arrow", 7),
    ("heldout-*.arrow", 9),
    ("train-*.arrow", 4),
    ("train-*.arrow", 11),
    ("corpus/train-*", 4),
]


@pytest.mark.parametrize(
    "kills", [pytest.param(KILLS, marks=pytest.mark.full), [KILLS[0], KILLS[3]]], ids=["five times", "twice"]
)
def test_a_build_that_is_killed_loses_the_part_in_hand_and_no_more(
    kills: list[tuple[str, int]], spec: CorpusSpec, reference: Corpus, tmp_path: Path
) -> None:
    work = tmp_path / f".{reference.folder.name}.build"
    written: dict[str, int] = {}
    for pattern, count in kills:
        killed_when(start(spec, tmp_path, None, CUT), work, pattern, count)
        there = {path.name: path.stat().st_mtime_ns for side in ("heldout", "train") for path in work.glob(f"{side}-*")}
        assert {name: written[name] for name in there if name in written}.items() <= there.items(), "encoded again"
        written |= there
    assert start(spec, tmp_path, None, CUT).wait() == 0
    assert_same(Corpus(tmp_path / reference.folder.name), reference)


@pytest.mark.full
def test_two_hundred_megabytes_come_out_the_same_after_five_kills_on_one_two_and_four_workers(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    paths = write(tmp_path_factory.mktemp("c4"), size=200_000_000, files=16)
    spec, cut = CorpusSpec("files", "c4-like", paths=(paths,), packing="documents"), (8192, 1024, 8000, 8_000_000)
    expected = build(spec, *cut[:2], tmp_path_factory.mktemp("large"), shard_bytes=cut[2])
    work = tmp_path / f".{expected.folder.name}.build"
    kills = [("text-*.arrow", 9), ("heldout-*", 5), ("train-*.arrow", 3), ("train-*.arrow", 9), ("train-*.arrow", 15)]
    for workers, (pattern, count) in zip((1, 2, 4, 1, 2), kills, strict=True):
        killed_when(start(spec, tmp_path, workers, cut), work, pattern, count)
    assert start(spec, tmp_path, 4, cut).wait() == 0
    assert_same(Corpus(tmp_path / expected.folder.name), expected)
