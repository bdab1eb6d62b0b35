"""Fixtures: a small real corpus and small real runs. One thread a process, as in a sweep's lanes."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# By default Ray's workers give way to all other processes, and would wait until other tests are through.
os.environ.setdefault("RAY_worker_niceness", "0")
# Nor does it start as many as there are CPUs before any is wanted, which tests say freely.
os.environ.setdefault("RAY_prestart_worker_first_driver", "0")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from repro.corpus import Corpus, build
from repro.spec import CorpusSpec, EvalSpec, ModelSpec, OptimizerSpec, Precision, PruningSpec, RunSpec
from tests.docs.promises import PROMISES
from tests.docs.recorder import Recorder, missing
from tests.stores import BUCKET, s3

LISTENING = pytest.StashKey[Recorder]()
VOCAB, SEQUENCE = 300, 32
TEXT = CorpusSpec("package", "pydoc", heldout_fraction=0.1)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes and long text are not part of a test's name: gzip's hold the time, and all workers must agree on names."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 80) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long files first: all workers would wait for one that begins last."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="module", autouse=True)
def _commands(request: pytest.FixtureRequest) -> Iterator[None]:
    """Listens in files with a test that promises to run a command of the docs."""
    module = request.node
    if not any(name.partition("::")[0] == module.nodeid for name in PROMISES):
        yield
        return
    recorder = module.stash[LISTENING] = Recorder()
    with recorder.listening():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test that doesn't run what it promises in tests/docs/promises.py fails."""
    yield
    promised = [text for name in {item.nodeid, item.nodeid.partition("[")[0]} for text in PROMISES.get(name, ())]
    if promised and (module := item.getparent(pytest.Module)):
        assert missing(promised, module.stash[LISTENING]) == {}, "promised in tests/docs/promises.py"


@pytest.fixture(scope="session")
def text_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def text(text_root: Path) -> Corpus:
    """The topics of pydoc, 300 tokens of vocabulary, rows of 32 + 1 tokens."""
    return build(TEXT, VOCAB, SEQUENCE, text_root)


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., RunSpec]:
    """A run of some 6 k prunable weights and a few dozen steps; keywords replace the defaults."""

    def make(
        sparsity: float = 0.8,
        *,
        dense_steps: int = 40,
        interval: int = 4,
        seed: int = 0,
        batch: int = 4,
        lr: float = 5e-3,
        run_id: str = "run",
        precision: Precision = "fp32",
        **pruning: Any,
    ) -> RunSpec:
        cut: dict[str, Any] = {"shape": "geometric" if sparsity else "dense", "interval": interval, **pruning}
        return RunSpec(
            run_id,
            "6k",
            "short",
            ModelSpec(8, 2, 1, 32, VOCAB, SEQUENCE),
            TEXT,
            OptimizerSpec(lr, batch),
            PruningSpec(sparsity, **cut),
            dense_steps,
            seed=seed,
            precision=precision,
            evaluation=EvalSpec(blocks=4, block_sequences=2),
        )

    return make


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URI under which results may lie: a local folder's, or a bucket's."""
    if request.param == "local":
        yield str(tmp_path / "results")
        return
    with s3():
        yield f"s3://{BUCKET}/results"
