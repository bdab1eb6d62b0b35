"""Files appear whole."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pyarrow import fs

from repro.errors import UserError
from repro.store import objects
from repro.store.folder import Folder
from tests.stores import BUCKET, s3


def test_a_write_that_fails_leaves_the_old_file_and_no_scratch(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    folder.write("a.txt", b"old")
    with pytest.raises(TypeError):
        folder.write("a.txt", "not bytes")  # type: ignore[arg-type]
    assert folder.read("a.txt") == b"old"
    assert folder.names() == ["a.txt"]


def test_a_file_system_without_rename_is_used_the_same_way(tmp_path: Path) -> None:
    """Any pyarrow file system that isn't the local one is treated as an object store: one PUT a file."""
    folder = Folder(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "results")
    tmp_path.joinpath("results").mkdir()
    folder.write_json("a.json", {"b": 1})
    assert folder.read_json("a.json") == {"b": 1}
    assert folder.names() == ["a.json"]
    assert not folder.is_local


def test_deleting_takes_files_and_folders_and_nothing(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    (folder / "inner").write("b.json", b"{}")
    folder.delete("inner")
    folder.delete("inner")
    assert folder.names() == []


def test_broken_json_names_the_file(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    folder.write("c.json", b"{")
    with pytest.raises(UserError, match=r"c\.json"):
        folder.read_json("c.json")


def test_a_home_folder_and_variables_are_expanded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", "x$y")
    assert Folder.open("~/results").path == f"{tmp_path}/results"
    assert Folder.open(f"file://{tmp_path}/results").path == f"{tmp_path}/results"
    folder = Folder.open("~/$WHERE")
    folder.write("a", b"")
    assert Folder.open(str(folder / "runs")).path == f"{tmp_path}/x$y/runs"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("https://example.com/table.parquet", "https"),
        ("ftp://host/x", "ftp"),
        ("S3://bucket/x", "S3"),
        ("s3:///x", "bucket"),
        ("s3://", "bucket"),
        ("s3:/bucket/x", "two"),
        ("gs:bucket/x", "two"),
        ("file://host/x", "file"),
        ("s3://key:secret@bucket/%zz", "***@bucket"),
        ("", "''"),
        ("  ", "a path"),
        ("$NOT_SET_ANYWHERE/x", "NOT_SET_ANYWHERE"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(place: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        Folder.open(place, key="storage.results")
    assert said in str(error.value)
    assert "storage.results" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_store_where_nothing_listens_or_answers_is_given_up_in_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it listens and says nothing
        place = f"s3://user:secret@bucket/x?endpoint_override=127.0.0.1:{silent.getsockname()[1]}&scheme=http"
        with pytest.raises(TimeoutError, match=r"\*\*\*@bucket.*no answer within 1 s"):
            Folder.open(place + "&region=us-east-1")


def test_where_nothing_can_be_written_is_said_before_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    for place, said in {
        tmp_path / "file": "a file where a folder is expected",
        tmp_path / "file/deeper/still": "a file where a folder is expected",
        tmp_path / "dangling/x": "a broken link",
        tmp_path / ("x" * 256): "name too long",
        Path("/proc/none"): "can't be written",
    }.items():
        with pytest.raises(UserError, match=f"(?is){said}") as error:
            Folder.open(place).check_writable(key="storage.results")
        assert error.value.key == "storage.results"
    Folder.open(tmp_path / "new/deeper").check_writable()
    assert sorted(found.name for found in tmp_path.iterdir()) == ["dangling", "file"]


@pytest.mark.slow
def test_a_store_is_probed_and_left_as_it_was() -> None:
    with s3():
        Folder.open(f"s3://{BUCKET}/results").check_writable()
        assert Folder.open(f"s3://{BUCKET}").names() in ([], ["results"])
        assert Folder.open(f"s3://{BUCKET}/results").names() == []
        with pytest.raises(UserError, match="can't be written"):
            Folder.open("s3://no-such-bucket/results").check_writable()


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "a//b", ".", "..", "a/..", "a\0b", "./a"])
def test_a_name_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = Folder.open(tmp_path / "inner")
    for use in (
        lambda: folder / name,
        lambda: folder.write(name, b""),
        lambda: folder.read(name),
        lambda: folder.exists(name),
    ):
        with pytest.raises(UserError, match="outside its folder"):
            use()
    assert not (tmp_path / "x").exists()


def test_json_that_is_no_text_or_too_deep_names_the_file(tmp_path: Path) -> None:
    folder = Folder.open(tmp_path)
    folder.write("deep.json", b"[" * 100_000)
    folder.write("odd.json", b"\xff\xfe{")
    for name in ("deep.json", "odd.json"):
        with pytest.raises(UserError, match=name):
            folder.read_json(name)
