"""Folder: files that appear whole, on a local disk, NFS or an object store, through pyarrow's file systems."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from typing import Any

from pyarrow import fs

from repro.errors import UserError


@dataclass(frozen=True)
class Folder:
    """A folder on a pyarrow file system. `path` is the path inside that file system."""

    filesystem: fs.FileSystem
    path: str

    @classmethod
    def open(cls, uri: str | os.PathLike) -> Folder:
        """A folder from a local path or from a URI (s3://, gs://, file://)."""
        text = os.fspath(uri)
        if "://" not in text:
            return cls(fs.LocalFileSystem(), os.path.abspath(text))
        filesystem, path = fs.FileSystem.from_uri(text)
        return cls(filesystem, path)

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def __truediv__(self, name: str) -> Folder:
        return Folder(self.filesystem, f"{self.path}/{name}")

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def exists(self, name: str = "") -> bool:
        return self.filesystem.get_file_info(self._at(name)).type != fs.FileType.NotFound

    def names(self) -> list[str]:
        """Names of what lies directly in this folder, sorted; empty when there is no such folder."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def read(self, name: str) -> bytes:
        with self.filesystem.open_input_stream(self._at(name)) as stream:
            return stream.read()

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Writes a whole file: a reader sees all of it or what was there before.

        On a local file system by a rename after fsync; on an object store by one PUT, which is whole by nature.
        """
        target = self._at(name)
        if not self.is_local:
            with self.filesystem.open_output_stream(target) as stream:
                stream.write(data)
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        # Not named after the target: who looks for files by their names, as TensorBoard does, mustn't find it.
        scratch = f"{os.path.dirname(target)}/{secrets.token_hex(4)}.tmp"
        try:
            with open(scratch, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(scratch, target)
        except BaseException:
            if os.path.exists(scratch):
                os.unlink(scratch)
            raise

    def read_json(self, name: str) -> Any:
        try:
            return json.loads(self.read(name))
        except ValueError as error:  # of JSON, or of the text that it should be
            raise UserError(f"not valid JSON: {error}", file=self._at(name)) from error

    def write_json(self, name: str, data: Any) -> None:
        self.write(name, (json.dumps(data, indent=1, sort_keys=False, allow_nan=False) + "\n").encode())

    def delete(self, name: str = "") -> None:
        """Removes a file, or a folder with all that is in it; nothing happens when there is none."""
        info = self.filesystem.get_file_info(self._at(name))
        if info.type == fs.FileType.Directory:
            self.filesystem.delete_dir(info.path)
        elif info.type == fs.FileType.File:
            self.filesystem.delete_file(info.path)

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path
