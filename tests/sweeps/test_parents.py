"""Shared prefixes through the real driver: what is trained once for several runs gives every one the numbers it had alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.sweeps.tiny import IDS, declare, run

pytestmark = pytest.mark.slow

DENSE, *PRUNED = IDS
SECONDS = {"seconds", "seconds_setup", "tokens_per_second", "mfu", "peak_memory", "forked_from", "forked_step"}


def written(root: Path, share: bool) -> Path:
    file = declare(root, ratio=8)
    text = file.read_text().replace("{batch: 4}", "{batch: 4, lr_schedule: cosine_compute}")
    file.write_text(text + f"share_prefix: {str(share).lower()}\n")
    return file


def rows(root: Path) -> dict[str, dict]:
    found = pq.read_table(root / "results" / "tiny" / "runs.parquet").to_pylist()
    return {row["run_id"]: row for row in found}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every run trained from its own beginning."""
    root = tmp_path_factory.mktemp("alone")
    code, out = run(written(root, share=False))
    assert code == 0, out
    return root


@pytest.mark.full
def test_runs_that_start_from_their_parent_end_as_they_would_alone(alone: Path, tmp_path: Path) -> None:
    shutil.copytree(alone / "data", tmp_path / "data")
    code, out = run(written(tmp_path, share=True))
    assert code == 0, out
    found, expected = rows(tmp_path), rows(alone)
    assert {i: found[i]["forked_from"] is not None for i in IDS} == {DENSE: False} | dict.fromkeys(PRUNED, True)
    for run_id in IDS:
        mine, theirs = found[run_id], expected[run_id]
        assert {k: v for k, v in mine.items() if k not in SECONDS} == {
            k: v for k, v in theirs.items() if k not in SECONDS
        }
    runs = tmp_path / "results" / "tiny" / "runs"
    assert not list(runs.glob("*/forks/*")), "nobody needs them any more"


@pytest.mark.full
def test_a_child_whose_parent_is_gone_is_trained_alone_to_the_same_numbers(alone: Path, tmp_path: Path) -> None:
    shutil.copytree(alone, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "results" / "tiny" / "runs" / PRUNED[0])
    code, out = run(written(tmp_path, share=True))
    assert code == 0, out
    assert "1 trained now" in out
    assert rows(tmp_path)[PRUNED[0]]["loss_blocks"] == rows(alone)[PRUNED[0]]["loss_blocks"]
