"""Files appear whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow import fs

from repro.errors import UserError
from repro.storage import Folder


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
