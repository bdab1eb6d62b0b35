"""Folder: files written atomically on a local disk, NFS or an object store, through pyarrow's file systems."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import Any

from pyarrow import fs

from repro import paths
from repro.errors import DISK_FULL, UserError
from repro.store import objects
from repro.store.outage import outlast
from repro.store.scratch import is_orphan, scratch, writer

TRIES = 20  # attempts to read an object that keeps being replaced


@dataclass(frozen=True)
class Folder:
    """A folder on a pyarrow file system. `path` is the path inside that file system.

    A store that fails for a while is asked again (`outage.outlast`), whatever is done with its files.
    """

    filesystem: fs.FileSystem
    path: str

    @classmethod
    def open(cls, uri: str | os.PathLike, *, key: str | None = None) -> Folder:
        """A folder from a local path or a URI (s3://, gs://, file://), with `~` and variables expanded.

        Args:
            uri: the path or URI.
            key: the key or option it was read from, for error messages.

        Raises:
            UserError: an unsupported address, or an unset variable.
            OSError: a store that can't be reached, or doesn't answer within PATIENCE.
        """
        text = paths.expand(uri, key=key)
        if not text.strip():
            raise UserError("an empty path", key=key, found=repr(text), expected="a path or a URI")
        if "://" not in text:
            return cls(fs.LocalFileSystem(), os.path.abspath(text))
        filesystem, path = objects.open_uri(text, key=key)
        return cls(filesystem, path)

    @classmethod
    def reopen(cls, uri: str) -> Folder:
        """A folder whose store has answered before, to another process: if it fails now, it is asked again."""
        return outlast(lambda: cls.open(uri))

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def __truediv__(self, name: str) -> Folder:
        return Folder(self.filesystem, self._at(name))

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def exists(self, name: str = "") -> bool:
        return self.info(name).type != fs.FileType.NotFound

    def info(self, name: str = "") -> fs.FileInfo:
        """Type and size of an entry, or of this folder."""
        return outlast(lambda: self.filesystem.get_file_info(self._at(name)))

    def names(self) -> list[str]:
        """Sorted names of the entries of this folder; empty if it doesn't exist."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in outlast(lambda: self.filesystem.get_file_info(selector)))

    def read(self, name: str) -> bytes:
        # pyarrow asks for an object's size first and then reads that many bytes: if the object was replaced by a
        # longer one in between, that is only a part of it.
        path = self._at(name)
        for _ in range(TRIES):
            data = self._read_once(path)
            if self.is_local or len(data) == self.info(name).size:
                return data
        raise OSError(f"{path} is being replaced all the time")

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Writes a file atomically: a reader sees either the old or the complete new contents.

        On a local file system by fsync and rename; on an object store an upload becomes visible when complete.
        """
        target = self._at(name)

        def put() -> None:
            with scratch(target) if self.is_local else self.filesystem.open_output_stream(target) as stream:
                stream.write(data)

        outlast(put)

    def create(self, name: str, data: bytes) -> bool:
        """Creates a file atomically, if it doesn't exist: of several concurrent writers one gets True, the others False.

        `data` must differ between writers: one that finds its own data created the file, though the answer was lost.

        On a local file system by a hard link, which is atomic on NFS too; on an object store by a conditional PUT.

        Raises:
            UserError: the store has no conditional PUT.
        """
        target = self._at(name)
        if not self.is_local:
            return outlast(lambda: objects.create(self.filesystem, target, data)) or self._holds(name, data)
        try:
            with scratch(target, os.link) as stream:
                stream.write(data)
        except FileExistsError:
            if not os.path.lexists(target):  # it is a folder above that can't be made
                raise
            return False
        return True

    def read_json(self, name: str) -> Any:
        """The parsed contents of a JSON file. Retries if an object is replaced meanwhile, which yields invalid JSON."""
        path, fault = self._at(name), ValueError()
        for _ in range(1 if self.is_local else TRIES):
            try:
                return json.loads(self._read_once(path), parse_constant=_refuse_constant)
            except ValueError as error:  # from JSON or from decoding
                fault = error
            except RecursionError:
                fault = ValueError("nested too deeply")
        raise UserError(f"not valid JSON: {fault}", file=path) from fault

    def write_json(self, name: str, data: Any) -> None:
        self.write(name, (json.dumps(data, indent=1, sort_keys=False, allow_nan=False) + "\n").encode())

    def delete(self, name: str = "") -> None:
        """Removes a file, or a folder with its contents, if it exists."""

        def remove() -> None:
            info = self.filesystem.get_file_info(self._at(name))
            if info.type == fs.FileType.Directory:
                self.filesystem.delete_dir(info.path)
            elif info.type == fs.FileType.File:
                self.filesystem.delete_file(info.path)

        outlast(remove)

    def check_writable(self, *, key: str | None = None) -> None:
        """Checks that files can be created here, before any work whose results would be lost. Leaves nothing behind.

        Raises:
            UserError: this is a file, is below a file, or isn't writable; or the store can't create files atomically.
        """
        if self.is_local:
            _check_local(self.path, key)
            return
        objects.require(self.filesystem, self.path)
        name = f".{writer()}.tmp"
        try:
            self.write(name, b"")
            self.delete(name)
        except OSError as error:
            raise UserError("the store can't be written", file=self.path, key=key, found=str(error)) from error

    def tidy(self) -> None:
        """Removes scratch files of killed processes of this machine, here and in all subfolders."""
        if not self.is_local:
            return  # incomplete uploads aren't visible as objects
        for where, folders, files in os.walk(self.path):
            for name in filter(is_orphan, files):
                os.unlink(os.path.join(where, name))
            for name in filter(is_orphan, folders):
                shutil.rmtree(os.path.join(where, name), ignore_errors=True)

    def _holds(self, name: str, data: bytes) -> bool:
        try:
            return self.read(name) == data
        except FileNotFoundError:
            return False

    def _read_once(self, path: str) -> bytes:
        def get() -> bytes:
            with self.filesystem.open_input_stream(path) as stream:
                data: bytes = stream.read()
            return data

        return outlast(get)

    def _at(self, name: str) -> str:
        """The path of an entry of this folder; its name is untrusted input.

        Raises:
            UserError: a name that leaves the folder.
        """
        if not name:
            return self.path
        if "\0" in name or not all(part not in ("", ".", "..") for part in name.split("/")):
            raise UserError(
                "a file name that points outside its folder", file=self.path, found=repr(name), expected="a file's name"
            )
        return f"{self.path}/{name}"


def _check_local(path: str, key: str | None) -> None:
    there = path
    while not os.path.lexists(there):  # the innermost existing folder is where the first new folder would be created
        there = os.path.dirname(there)
    expected = "a folder that this user can write to or create"
    if not os.path.isdir(there):
        what = "a broken link" if os.path.islink(there) and not os.path.exists(there) else "a file"
        raise UserError(f"{what} where a folder is expected", file=path, key=key, found=there, expected=expected)
    try:
        with tempfile.TemporaryFile(dir=there):  # an unnamed file
            pass
        longest = max(len(os.fsencode(part)) for part in path.split("/"))
        if longest > os.pathconf(there, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise UserError(
            "a place that can't be written", file=path, key=key, found=f"{there}: {error.strerror}", expected=expected
        ) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")  # and this project never writes it
