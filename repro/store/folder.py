"""Folder: files that appear whole, on a local disk, NFS or an object store, through pyarrow's file systems."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyarrow import fs

from repro import paths
from repro.errors import DISK_FULL, UserError
from repro.store import addresses, objects

TRIES = 20  # to read an object that is replaced again and again


@dataclass(frozen=True)
class Folder:
    """A folder on a pyarrow file system. `path` is the path inside that file system."""

    filesystem: fs.FileSystem
    path: str

    @classmethod
    def open(cls, uri: str | os.PathLike, *, key: str | None = None) -> Folder:
        """A folder from a local path or from a URI (s3://, gs://, file://), `~` and variables expanded.

        Args:
            uri: the place.
            key: where it was said, for error messages.

        Raises:
            UserError: no such kind of address, or a variable that isn't set.
            OSError: a store that can't be reached, or doesn't answer within PATIENCE.
        """
        text = paths.expand(uri, key=key)
        if not text.strip():
            raise UserError("no place named", key=key, found=repr(text), expected="a path or a URI")
        if "://" not in text:
            return cls(fs.LocalFileSystem(), os.path.abspath(text))
        filesystem, path = addresses.open_uri(text, key=key)
        return cls(filesystem, path)

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
        return self.filesystem.get_file_info(self._at(name)).type != fs.FileType.NotFound

    def names(self) -> list[str]:
        """Names of what lies directly in this folder, sorted; empty when there is no such folder."""
        selector = fs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def read(self, name: str) -> bytes:
        # pyarrow asks for an object's size and then for so many bytes: of one that was replaced in between by a longer
        # one that is a part.
        path = self._at(name)
        for _ in range(TRIES):
            data = self._read_once(path)
            if self.is_local or len(data) == self.filesystem.get_file_info(path).size:
                return data
        raise OSError(f"{path} is being replaced all the time")

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Writes a whole file: a reader sees all of it or what was there before.

        On a local file system by a rename after fsync; on an object store an upload appears when it is complete.
        """
        target = self._at(name)
        if not self.is_local:
            with self.filesystem.open_output_stream(target) as stream:
                stream.write(data)
            return
        with _scratch(target, data) as written:
            os.replace(written, target)

    def create(self, name: str, data: bytes) -> bool:
        """Writes a whole file that isn't there yet: of several writers at one moment one gets True, the others False.

        On a local file system by a hard link, which NFS makes whole too; on an object store by a conditional PUT.

        Raises:
            UserError: the store has no conditional PUT.
        """
        target = self._at(name)
        if not self.is_local:
            return objects.create(self.filesystem, target, data)
        with _scratch(target, data) as written:
            try:
                os.link(written, target)
            except FileExistsError:
                return False
        return True

    def read_json(self, name: str) -> Any:
        """What a file holds. One that is replaced meanwhile is read again: a part of a mapping is no JSON."""
        path, fault = self._at(name), ValueError()
        for _ in range(1 if self.is_local else TRIES):
            try:
                return json.loads(self._read_once(path), parse_constant=_refuse_constant)
            except ValueError as error:  # of JSON, or of the text that it should be
                fault = error
            except RecursionError:
                fault = ValueError("nested too deep")
        raise UserError(f"not valid JSON: {fault}", file=path) from fault

    def write_json(self, name: str, data: Any) -> None:
        self.write(name, (json.dumps(data, indent=1, sort_keys=False, allow_nan=False) + "\n").encode())

    def delete(self, name: str = "") -> None:
        """Removes a file, or a folder with all that is in it; nothing happens when there is none."""
        info = self.filesystem.get_file_info(self._at(name))
        if info.type == fs.FileType.Directory:
            self.filesystem.delete_dir(info.path)
        elif info.type == fs.FileType.File:
            self.filesystem.delete_file(info.path)

    def check_writable(self, *, key: str | None = None) -> None:
        """Holds that files can be made here, before work is done whose results would be lost. Leaves nothing behind.

        Raises:
            UserError: this is a file, lies below one, or can't be written; or the store can't make a new file whole.
        """
        if self.is_local:
            _check_local(self.path, key)
            return
        objects.require(self.filesystem, self.path)
        name = f".{_writer()}.tmp"
        try:
            self.write(name, b"")
            self.delete(name)
        except OSError as error:
            raise UserError("the store can't be written", file=self.path, key=key, found=str(error)) from error

    def tidy(self) -> None:
        """Removes, here and in all folders below, what processes of this machine that were killed left half written."""
        if not self.is_local:
            return  # an object that isn't whole is none
        for where, folders, files in os.walk(self.path):
            for name in filter(is_orphan, files):
                os.unlink(os.path.join(where, name))
            for name in filter(is_orphan, folders):
                shutil.rmtree(os.path.join(where, name), ignore_errors=True)

    def _read_once(self, path: str) -> bytes:
        with self.filesystem.open_input_stream(path) as stream:
            data: bytes = stream.read()
        return data

    def _at(self, name: str) -> str:
        """The path of what lies in this folder, whoever gave its name.

        Raises:
            UserError: a name that leaves it.
        """
        if not name:
            return self.path
        if "\0" in name or not all(part not in ("", ".", "..") for part in name.split("/")):
            raise UserError("a name that leaves its folder", file=self.path, found=repr(name), expected="a file's name")
        return f"{self.path}/{name}"


def _check_local(path: str, key: str | None) -> None:
    there = path
    while not os.path.lexists(there):  # what would be made first lies in the innermost folder that is there
        there = os.path.dirname(there)
    expected = "a folder that this user may write, or one that can be made"
    if not os.path.isdir(there):
        what = "a link to nothing" if os.path.islink(there) and not os.path.exists(there) else "a file"
        raise UserError(f"{what} where a folder is wanted", file=path, key=key, found=there, expected=expected)
    try:
        with tempfile.TemporaryFile(dir=there):  # it has no name
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
    raise ValueError(f"{name} is no number of JSON's")  # nor does any file of ours hold it


@contextmanager
def _scratch(target: str, data: bytes | memoryview) -> Iterator[str]:
    """A file with `data`, safe on the disk, in the folder of `target`; nothing of it is left there afterwards."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    # Not named after the target: who looks for files by their names, as TensorBoard does, mustn't find it.
    path = f"{os.path.dirname(target)}/.{_writer()}.tmp"
    try:
        with open(path, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        yield path
    finally:
        if os.path.exists(path):
            os.unlink(path)


def _writer() -> str:
    """Tells the scratch files of this process from those of any other."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def scratch_prefix(name: str) -> str:
    """Beginning of the name of a scratch folder, hidden, that becomes the folder `name` when it is whole."""
    return f".{name}.{_writer()}.tmp"


def is_orphan(name: str) -> bool:
    """Whether a file or folder is the scratch of a process of this machine that is no more."""
    found = re.search(rf"\.{re.escape(socket.gethostname())}-(\d+)-[0-9a-f]{{8}}\.tmp", name)
    return found is not None and not _exists(int(found[1]))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks without doing anything
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
