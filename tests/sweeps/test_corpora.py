"""The driver of a cluster copies no corpus that lies on a store, and the machine that trains does."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.corpus import Corpus, local_copy
from repro.errors import UserError
from repro.store.folder import Folder
from sweeps import corpora
from sweeps.grid import Sweep, expand
from tests.stores import BUCKET, s3
from tests.sweeps import tiny

pytestmark = pytest.mark.slow

ROOT = f"s3://{BUCKET}/corpora"


@pytest.fixture
def sweep(text: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """One whose corpus lies at ROOT, on a machine that has no copy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tiny.declare(tmp_path)
    file.write_text(file.read_text().replace(f"corpus: {tmp_path}/data", f"corpus: {ROOT}"))
    return expand(file)


@pytest.mark.parametrize("address", ["10.0.0.1:6379", None])
def test_who_trains_elsewhere_reads_the_manifest_alone(
    address: str | None, sweep: Sweep, text: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address is not None:
        monkeypatch.setenv("RAY_ADDRESS", address)
    with s3():
        local_copy.publish(text, Folder.open(ROOT))
        found = corpora.build_all(sweep)
    assert set(found) == {run.spec.run_id for run in sweep.runs}
    one = found[sweep.runs[0].spec.run_id]
    assert (one.hash, one.unique_tokens) == (text.hash, text.unique_tokens)
    assert corpora.address(ROOT, one) == f"{ROOT}/{text.folder.name}"
    copied = [path.name for path in local_copy.cache().glob("*")]
    assert copied == ([] if address else [text.folder.name])
    with pytest.raises(UserError, match="needs more text"):
        one.check(text.unique_tokens + 1, False, "run")
    with pytest.raises(UserError, match="too little held-out text"):
        one.check_heldout(len(text.heldout) + 1, 1)
