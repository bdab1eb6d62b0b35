"""Streams files from one folder to another on any file systems; files need not fit in memory."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from pyarrow import fs

from repro.errors import UserError
from repro.store.folder import Folder
from repro.store.scratch import scratch

BLOCK = 1 << 24  # bytes read at once, each a request to a store


def files(folder: Folder) -> Iterator[tuple[str, fs.FileInfo]]:
    """(path inside `folder`, file info) of every file at any depth, sorted; links in local folders are skipped.

    Raises:
        UserError: an object whose name would leave the target folder.
    """
    if folder.is_local:
        paths = Path(folder.path).rglob("*")  # doesn't follow links to folders
        for path in sorted(str(path.relative_to(folder.path)) for path in paths if stat.S_ISREG(path.lstat().st_mode)):
            yield path, folder.filesystem.get_file_info(f"{folder.path}/{path}")
        return
    found = folder.filesystem.get_file_info(fs.FileSelector(folder.path, recursive=True, allow_not_found=True))
    start = len(folder.path.rstrip("/")) + 1
    for info in sorted(found, key=lambda info: info.path):  # one listing has all infos: no request per object
        if info.type == fs.FileType.File:
            yield _checked(info.path[start:], folder), info


def _checked(name: str, folder: Folder) -> str:
    """Checks and returns `name`, which becomes a local path: stores allow any name, even with `../`."""
    if not name or any(part in ("", ".", "..") for part in name.split("/")) or re.search(r"[\x00-\x1f\x7f\\]", name):
        raise UserError(
            "a file name that points outside its folder", file=folder, found=repr(name)[:200], expected="no .. in it"
        )
    return name


def copy(
    source: Folder, name: str, target: Folder, *, sha256: str | None = None, arrived: Callable[[int], object] = int
) -> None:
    """Copies one file atomically: by a rename on a local disk, by a completed upload on an object store.

    Args:
        source, target: the folders.
        name: path of the file inside both.
        sha256: hash that the bytes must have, checked as they arrive, before the file appears; None: any bytes.
        arrived: called with the number of bytes of each block; what it raises ends the copy.

    Raises:
        UserError: other bytes than `sha256`.
    """
    path = f"{target.path}/{_checked(name, source)}"
    digest = hashlib.sha256()
    with (
        source.filesystem.open_input_stream(f"{source.path}/{name}") as data,
        # On a store the file appears after an error, too.
        scratch(path) if target.is_local else target.filesystem.open_output_stream(path) as file,
    ):
        while block := data.read(BLOCK):
            file.write(block)
            if sha256 is not None:
                digest.update(block)
            arrived(len(block))
        if sha256 not in (None, digest.hexdigest()):
            raise UserError("a damaged file", file=f"{source}/{name}", found=digest.hexdigest(), expected=sha256)
