"""A run counts as done on its own tables alone, and a status that is damaged costs nothing but another look."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from repro import schemas, tables
from repro.errors import UserError
from repro.spec import RunSpec
from repro.store.folder import Folder
from repro.store.run_folder import PARTS, RunFolder, Stamps
from tests.repro.store.runs import TEXT, a_row, finished

Make = Callable[..., RunSpec]


def overwritten(name: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        table: schemas.Table = {"run.parquet": "runs", "curve.parquet": "curves", "layers.parquet": "layers"}[name]  # type: ignore[assignment]
        kept = tables.read(Folder.open(path), name).to_pylist() or [a_row(table, run_id="run")]
        numbers = [key for key, value in kept[0].items() if isinstance(value, (int, float))]
        tables.write(Folder.open(path), name, table, [kept[0] | {numbers[-1]: 7}])

    return spoil


def shortened(name: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        (path / name).write_bytes((path / name).read_bytes()[:-9])

    return spoil


def removed(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


@pytest.mark.parametrize("how", [overwritten, shortened, removed])
@pytest.mark.parametrize("name", PARTS)
def test_a_run_whose_tables_are_not_what_it_wrote_is_not_done(
    how: Callable[[str], Callable[[Path], None]], name: str, make_spec: Make, tmp_path: Path
) -> None:
    spec = make_spec()
    run = finished(tmp_path / "run", spec)
    how(name)(tmp_path / "run")
    assert not run.is_done(spec, TEXT)
    assert name in str(run.fault(spec, TEXT))


def test_a_folder_that_was_copied_from_another_run_is_not_done(make_spec: Make, tmp_path: Path) -> None:
    mine, other = make_spec(), make_spec(seed=1)
    run = finished(tmp_path / "mine", mine)
    finished(tmp_path / "other", other)
    for name in (*PARTS, "status.json"):
        shutil.copy(tmp_path / "other" / name, tmp_path / "mine" / name)
    assert not run.is_done(mine, TEXT)
    shutil.copy(tmp_path / "other" / "spec.json", tmp_path / "mine" / "spec.json")
    with pytest.raises(UserError, match="two different specs with one id"):
        run.is_done(mine, TEXT)


def test_a_row_of_another_run_is_none_even_where_an_older_version_kept_no_hashes(
    make_spec: Make, tmp_path: Path
) -> None:
    mine, other = make_spec(), make_spec(seed=1)
    run = finished(tmp_path / "mine", mine)
    status = json.loads((tmp_path / "mine" / "status.json").read_text())
    (tmp_path / "mine" / "status.json").write_text(
        json.dumps({key: value for key, value in status.items() if key not in ("identity", "tables")})
    )
    assert run.is_done(mine, TEXT)
    finished(tmp_path / "other", other)
    shutil.copy(tmp_path / "other" / "run.parquet", tmp_path / "mine" / "run.parquet")
    assert not run.is_done(mine, TEXT)


def test_a_spec_that_was_altered_is_refused(make_spec: Make, tmp_path: Path) -> None:
    spec = make_spec()
    run = finished(tmp_path, spec)
    said = json.loads((tmp_path / "spec.json").read_text())
    (tmp_path / "spec.json").write_text(json.dumps({**said, "seed": 5}))
    for ask in (run.spec, lambda: run.is_done(spec)):
        with pytest.raises(UserError, match="altered"):
            ask()
    (tmp_path / "spec.json").write_text(json.dumps({k: v for k, v in said.items() if k != "corpus_hash"}))
    with pytest.raises(UserError, match="not the spec of a run"):
        run.spec()


GOOD = {"state": "running", "step": 1, "total_steps": 2, "owner": {"host": "h", "pid": 1}, "updated": 1.0}
DAMAGED: dict[str, object] = {
    "nothing": b"",
    "half": json.dumps(GOOD).encode()[:30],
    "no text": b"\xff\xfe\x00",
    "a list": [1],
    "deep": b"[" * 100_000,
    "no state": {k: v for k, v in GOOD.items() if k != "state"},
    "another state": GOOD | {"state": "resting"},
    "a state that is a list": GOOD | {"state": ["done"]},
    "not a number": json.dumps(GOOD).replace("1.0", "NaN").encode(),
    "past every number": json.dumps(GOOD).replace("1.0", "1e999").encode(),
    "a step past the last": GOOD | {"step": 3},
    "a step below none": GOOD | {"step": -1},
    "a step that is text": GOOD | {"step": "1"},
    "no steps at all": GOOD | {"total_steps": 0},
    "a speed of text": GOOD | {"tokens_per_second": "fast"},
    "workers of none": GOOD | {"workers": 0},
    "an owner that is text": GOOD | {"owner": "me"},
    "failed without a reason": {"state": "failed", "updated": 1.0},
    "a reason that is none": {"state": "failed", "updated": 1.0, "reason": {"a": 1}},
    "attempts alone": GOOD | {"attempts": 2},
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_status_is_a_failure_that_says_so_and_the_run_may_begin_again(
    data: object, make_spec: Make, tmp_path: Path
) -> None:
    (tmp_path / "status.json").write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    run = RunFolder(Folder.open(tmp_path))
    found = run.status()
    assert found["state"] == "failed"
    assert "status.json is damaged" in found["reason"]
    assert "Traceback" not in found["reason"]
    run.begin(make_spec(), TEXT)
    assert run.status()["state"] == "running"
    assert run.status()["before"] == found["reason"]


def test_what_is_new_is_told_without_a_clock(tmp_path: Path) -> None:
    run = RunFolder(Folder.open(tmp_path))
    run.progress("failed", reason="earlier")
    stamps = Stamps({"run": run})
    assert not stamps.is_new("run", run.status())
    said = run.folder.read_json("status.json")
    run.folder.write_json("status.json", said | {"updated": said["updated"] - 3600, "reason": "the clock was set back"})
    assert not stamps.is_new("run", run.status()), "the same writing"
    run.progress("failed", reason="earlier")
    said_again = run.folder.read_json("status.json")
    run.folder.write_json("status.json", said_again | {"updated": said["updated"]})
    assert stamps.is_new("run", run.status()), "another writing at the same time by the clock"
    run.folder.write_json("status.json", {key: value for key, value in said.items() if key != "nonce"})
    older = Stamps({"run": run})
    assert not older.is_new("run", run.status())
    assert not Stamps({}).is_new("another", {"state": "queued"})
