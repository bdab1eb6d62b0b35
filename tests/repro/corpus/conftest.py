import pytest

from repro.corpus import Corpus, build
from repro.spec import CorpusSpec


@pytest.fixture(scope="session")
def pydoc_spec() -> CorpusSpec:
    return CorpusSpec("package", "pydoc", heldout_fraction=0.1)


@pytest.fixture(scope="session")
def pydoc_root(tmp_path_factory):
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(scope="session")
def pydoc_corpus(pydoc_spec, pydoc_root) -> Corpus:
    """Python's help topics at vocabulary 300, sequence 32, in shards of 1,000 rows. Read it, don't change it."""
    return build(pydoc_spec, 300, 32, pydoc_root, shard_bytes=66_000)
