"""What is copied from a store or a folder stays in the folder that it is copied to, and no link is followed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow import fs

from repro.errors import UserError
from repro.store import transfer
from repro.store.folder import Folder


def test_of_a_local_folder_links_are_left_out(tmp_path: Path) -> None:
    source, outside = tmp_path / "source", tmp_path / "outside"
    for folder in (source / "runs", outside):
        folder.mkdir(parents=True)
    (source / "runs" / "a").write_text("1")
    (outside / "secret").write_text("2")
    (source / "runs" / "link").symlink_to(outside / "secret")
    (source / "elsewhere").symlink_to(outside)
    (source / "loop").symlink_to(source)
    assert [(name, info.size) for name, info in transfer.files(Folder.open(source))] == [("runs/a", 1)]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//x", "./x", "", "a/..", "a\nb", "a\\..\\x"])
def test_a_name_that_leaves_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("theirs")
    source, target = Folder.open(tmp_path / "source"), Folder.open(tmp_path / "target")
    with pytest.raises(UserError, match="outside its folder"):
        transfer.copy(source, name, target)
    assert {p.name for p in tmp_path.iterdir()} == {"x"}


def test_an_object_with_such_a_name_is_refused_when_it_is_listed(tmp_path: Path) -> None:
    class Store(fs.FileSystemHandler):
        """Objects by any name, as stores have them."""

        def __eq__(self, other: object) -> bool:
            return self is other

        def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
            return [fs.FileInfo("bucket/runs/../../../.bashrc", fs.FileType.File, size=3)]

    for name in ("get_type_name", "normalize_path", "get_file_info", "create_dir", "delete_dir", "delete_dir_contents",
                 "delete_root_dir_contents", "delete_file", "move", "copy_file", "open_input_stream", "open_input_file",
                 "open_output_stream", "open_append_stream", "__ne__"):  # fmt: skip
        setattr(Store, name, lambda self, *given: given[0] if given else "a store")
    Store.__abstractmethods__ = frozenset()
    with pytest.raises(UserError, match="outside its folder"):
        list(transfer.files(Folder(fs.PyFileSystem(Store()), "bucket/runs")))
