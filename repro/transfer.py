"""Files from one folder to another, on whatever file systems, streamed: none needs to fit into memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from pyarrow import fs

from repro.storage import Folder, scratch_prefix


def files(folder: Folder) -> Iterator[tuple[str, fs.FileInfo]]:
    """(path inside `folder`, facts) of every file in it, at any depth, sorted."""
    found = folder.filesystem.get_file_info(fs.FileSelector(folder.path, recursive=True, allow_not_found=True))
    start = len(folder.path.rstrip("/")) + 1
    for info in sorted(found, key=lambda info: info.path):
        if info.type == fs.FileType.File:
            yield info.path[start:], info


def copy(source: Folder, name: str, target: Folder) -> None:
    """Copies one file. On a local disk it appears whole, by a rename; on an object store when its upload is done."""
    path = f"{target.path}/{name}"
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
