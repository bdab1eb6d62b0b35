"""What went wrong outside of this project, as the message that a user reads: a disk, a network, a file, a package."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from repro.errors import UserError

# By error number: what is wrong, and what should be there.
SYSTEM: dict[int, tuple[str, str]] = {
    errno.EACCES: ("permission denied", "a place that this user may read, and write where something is written"),
    errno.EPERM: ("not permitted", "a place that this user may read, and write where something is written"),
    errno.EROFS: ("a read-only file system", "a place that can be written"),
    errno.ENOENT: ("no such file or folder", "one that is there"),
    errno.EISDIR: ("a folder where a file is wanted", "a file"),
    errno.ENOTDIR: ("a file where a folder is wanted", "a folder"),
    errno.EEXIST: ("it is there already", "a place where nothing is yet"),
    errno.ENOTEMPTY: ("a folder that isn't empty", "an empty folder, or none"),
    errno.ENAMETOOLONG: ("a name that is too long", "at most 255 bytes a name, 4,095 a path"),
    errno.ELOOP: ("links that lead in a circle", "a file or a folder"),
    errno.EXDEV: ("two file systems where one is wanted", "places on one disk"),
    errno.EMFILE: ("too many open files", "a higher limit: ulimit -n 65536"),
    errno.ENFILE: ("too many open files on this machine", "fewer programs at work"),
    errno.ENOMEM: ("not enough memory", "more memory, or something smaller"),
    errno.EAGAIN: ("no process or thread more may be started", "a higher limit: ulimit -u"),
    errno.EIO: ("a disk that fails", "a disk that can be read and written"),
    errno.ESTALE: ("a network file system that has lost the file", "the same command again"),
    errno.ECONNREFUSED: ("nothing listens there", "a service that is running, at this address"),
    errno.ECONNRESET: ("the connection was cut", "the same command again"),
    errno.ETIMEDOUT: ("no answer", "a service that can be reached"),
    errno.EHOSTUNREACH: ("no way to that host", "a service that can be reached"),
    errno.ENETUNREACH: ("no network", "a service that can be reached"),
    errno.EADDRINUSE: ("the port is taken", "another port"),
    errno.EADDRNOTAVAIL: ("not an address of this machine", "another address"),
}


def explained(error: BaseException) -> UserError | None:
    """The message for what is no fault of this project; None for what may be one, whose traceback should be seen."""
    if isinstance(error, UserError):
        return error
    for kind, explain in _KINDS:
        if isinstance(error, kind):
            return explain(error)
    origin = type(error).__module__.partition(".")[0]
    return UserError(*_ORIGINS[origin], found=_said(error)) if origin in _ORIGINS else None


def _system(error: OSError) -> UserError:
    if isinstance(error, socket.gaierror):
        return UserError("a host that isn't known", found=_said(error), expected="a name that resolves, and a network")
    message, expected = SYSTEM.get(error.errno or 0, ("a file, a disk or a service can't be used", None))
    if isinstance(error, TimeoutError) and not error.errno:
        message, expected = SYSTEM[errno.ETIMEDOUT]
    place = error.filename
    if isinstance(place, (str, bytes, os.PathLike)):
        return UserError(message, file=os.fsdecode(place), found=error.strerror, expected=expected)
    return UserError(message, found=_said(error), expected=expected)


def _package(error: ImportError) -> UserError | None:
    if (error.name or "").partition(".")[0] in ("", "repro", "sweeps", "analysis", "cluster"):
        return None
    return UserError("a package can't be imported", found=_said(error), expected=f"{error.name}: make setup")


def _said(error: BaseException) -> str:
    """What an error says, in a line."""
    text = " ".join(str(error).split())
    return f"{text[:500]}..." if len(text) > 500 else text or type(error).__name__


_KINDS: tuple[tuple[type[BaseException], Callable[..., UserError | None]], ...] = (
    (OSError, _system),
    (
        MemoryError,
        lambda error: UserError("not enough memory", found=_said(error), expected="more memory, or something smaller"),
    ),
    (RecursionError, lambda error: UserError("nested too deeply", found=_said(error), expected="fewer levels")),
    (
        UnicodeDecodeError,
        lambda error: UserError(
            "not text of the encoding that it should have", found=_said(error), expected=f"{error.encoding} text"
        ),
    ),
    (
        UnicodeEncodeError,
        lambda error: UserError(
            "a character that this system's encoding doesn't have",
            found=repr(error.object[error.start : error.end][:20]),
            expected=f"characters of {error.encoding}, or a UTF-8 locale: LC_ALL=C.UTF-8",
        ),
    ),
    (EOFError, lambda error: UserError("a file that ends too early", found=_said(error), expected="a whole file")),
    (ImportError, _package),
)
# Errors of libraries, known by the package that defines them, so that none is imported to ask.
_ORIGINS = {
    "pyarrow": ("Arrow can't read or reach it",),
    "zlib": ("a compressed file that is damaged",),
    "lzma": ("a compressed file that is damaged",),
    "_lzma": ("a compressed file that is damaged",),
    "json": ("not valid JSON",),
    "yaml": ("not valid YAML",),
    "safetensors_rust": ("a safetensors file that is damaged",),
    "httpx": ("a server can't be reached, or refuses",),
    "httpx2": ("a server can't be reached, or refuses",),
    "requests": ("a server can't be reached, or refuses",),
    "botocore": ("a store can't be reached, or refuses",),
    "huggingface_hub": ("Hugging Face's hub can't be reached, or refuses",),
    "google": ("a store can't be reached, or refuses",),
}
