"""Streams files from one folder to another on any file systems; files need not fit in memory."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator

from pyarrow import fs

from repro.errors import UserError
from repro.store.folder import Folder, scratch_prefix


def files(folder: Folder) -> Iterator[tuple[str, fs.FileInfo]]:
    """(path inside `folder`, file info) of every file at any depth, sorted; links in local folders are skipped.

    Raises:
        UserError: an object whose name would leave the target folder.
    """
    if folder.is_local:
        for path in _within(folder):
            yield path, folder.filesystem.get_file_info(f"{folder.path}/{path}")
        return
    found = folder.filesystem.get_file_info(fs.FileSelector(folder.path, recursive=True, allow_not_found=True))
    start = len(folder.path.rstrip("/")) + 1
    for info in sorted(found, key=lambda info: info.path):  # one listing has all infos: no request per object
        if info.type == fs.FileType.File:
            yield _checked(info.path[start:], folder), info


def _within(folder: Folder) -> list[str]:
    found = []
    for where, _, names in os.walk(folder.path):  # doesn't follow links to folders
        for name in names:
            path = os.path.join(where, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                found.append(os.path.relpath(path, folder.path))
    return sorted(found)


def _checked(name: str, folder: Folder) -> str:
    """Checks and returns `name`, which becomes a local path: stores allow any name, even with `../`."""
    if not name or any(part in ("", ".", "..") for part in name.split("/")) or re.search(r"[\x00-\x1f\x7f\\]", name):
        raise UserError("a name that leaves its folder", file=folder, found=repr(name)[:200], expected="no .. in it")
    return name


def copy(source: Folder, name: str, target: Folder) -> None:
    """Copies one file atomically: by a rename on a local disk, by a completed upload on an object store."""
    path = f"{target.path}/{_checked(name, source)}"
    with source.filesystem.open_input_stream(f"{source.path}/{name}") as data:
        if not target.is_local:
            with target.filesystem.open_output_stream(path) as stream:
                shutil.copyfileobj(data, stream, 2**20)
            return
        above, last = os.path.split(path)
        os.makedirs(above, exist_ok=True)
        scratch = f"{above}/{scratch_prefix(last)}"
        try:
            with open(scratch, "wb") as file:
                shutil.copyfileobj(data, file, 2**20)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, path)
        finally:
            if os.path.exists(scratch):
                os.unlink(scratch)
