"""What `fetch` brings from a results folder that somebody else may have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.fs
import pytest

from cluster import fetch as module
from cluster.__main__ import main
from cluster.fetch import fetch
from repro.errors import UserError
from repro.store.folder import Folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    place = tmp_path / "theirs" / "tiny"
    (place / "runs" / "a").mkdir(parents=True)
    (place / "sweep.json").write_text(json.dumps({"name": "tiny"}))
    (place / "runs" / "a" / "run.parquet").write_text("table")
    (place / "runs" / "a" / "lease-1.json").write_text("{}")
    return place


def test_links_are_neither_brought_nor_followed(results: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    (results / "runs" / "a" / "metrics.parquet").symlink_to(tmp_path / "key")
    (results / "more").symlink_to(tmp_path)
    target = tmp_path / "here"
    assert fetch(Folder.open(results), Folder.open(target))[0] == 2
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == ["run.parquet", "sweep.json"]
    assert fetch(Folder.open(results), Folder.open(target)) == (0, 0, 2)


def test_nothing_is_written_through_a_link(results: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    elsewhere.mkdir()
    target.mkdir()
    (target / "runs").symlink_to(elsewhere)
    with pytest.raises(UserError, match="a link in the place"):
        fetch(Folder.open(results), Folder.open(target))
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    "record", ["[]", "{}", "7", '{"name": 7}', '{"name": "../../x"}', '{"name": "/etc"}', '{"name": ""}', '{"name": "a\\nb"}',
               "not json", "\xff", '{"name": null}'],
)  # fmt: skip
def test_a_record_that_names_no_sweep_is_refused(
    results: Path, tmp_path: Path, record: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "sweep.json").write_bytes(record.encode("latin-1"))
    assert main(["fetch", str(results), "--out", str(tmp_path / "here")]) == 2
    assert "sweep.json" in capsys.readouterr().err
    assert not list(tmp_path.rglob("here/*"))


def test_too_much_is_refused_before_it_is_copied(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (results / "huge.bin").open("wb") as stream:
        stream.truncate(1 << 43)
    with pytest.raises(UserError, match="too little disk space"):
        fetch(Folder.open(results), Folder.open(tmp_path / "here"))
    (results / "huge.bin").unlink()
    monkeypatch.setattr(module, "MOST", 1)
    with pytest.raises(UserError, match="too many files"):
        fetch(Folder.open(results), Folder.open(tmp_path / "here"))
    monkeypatch.setattr(module, "RECORD_BYTES", 4)
    with pytest.raises(UserError, match="not a sweep's record"):
        fetch(Folder.open(results), Folder.open(tmp_path / "here"))
    assert not list((tmp_path / "here").rglob("*"))


@pytest.mark.parametrize("place", ["relative", "~/x", "/a\x1b[2J", "$HOME/x", "/a\nb"])
def test_what_a_job_says_of_its_results_is_no_shell_text(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job: Any = type("Job", (), {"metadata": {"results": place}})
    monkeypatch.setattr(module, "connect", lambda address: (None, "http://head:8265"))
    monkeypatch.setattr(module, "details", lambda client, name: job)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="doesn't say where its results are"):
        module.locate("job-1")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("https://example.org/results/tiny", "https"),
        ("s3:/bucket/x", "one slash"),
        ("../nowhere", "no sweep's results here"),
        ("a/b", "no sweep's results here"),
        ("quick-1122-101530", "no Ray job server"),
    ],
)
def test_a_source_that_is_none_is_said(
    source: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    assert main(["fetch", source]) == 2
    assert said in capsys.readouterr().err


def test_the_target_is_said_when_it_cannot_be(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("kept")
    for place in (tmp_path / "file", tmp_path / "file" / "below", results):
        assert main(["fetch", str(results), "--out", str(place)]) == 2
        assert "--out" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"
    assert isinstance(Folder.open(tmp_path).filesystem, pyarrow.fs.LocalFileSystem)
