"""The outermost layer of every command: errors of the user, of this project or from outside it (a disk, a network, a file, a
package) become a message and an exit code."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import socket
import sys
import traceback
from typing import Protocol, TextIO

from repro.console import homes, terminal
from repro.errors import DISK_FULL, UserError


class Main(Protocol):
    """A command: arguments (None: the process's) to exit code."""

    def __call__(self, argv: list[str] | None = None) -> int: ...


def guarded(main: Main) -> Main:
    """Wraps a command's `main`: errors of the user or the environment become a message and an exit code.

    2: a UserError, or an error that `explained` knows. 1: a full disk. 130: Ctrl-C. Possible bugs of this project
    keep their traceback; REPRO_TRACEBACK=1 shows all tracebacks.
    """

    @functools.wraps(main)
    def wrapped(argv: list[str] | None = None) -> int:
        terminal.adapt()
        try:
            homes.adapt()
            code = main(argv)
            print(end="", flush=True)  # a full disk or a closed pipe can still be reported here
            return code
        except BrokenPipeError:  # the reader, e.g. `head`, has closed the pipe
            _hush(sys.stdout, sys.stderr)
            return 0
        except KeyboardInterrupt:
            _say("stopped")
            return 130
        except Exception as error:
            told = explained(error)
            if told is None:
                raise
            if os.environ.get("REPRO_TRACEBACK"):
                traceback.print_exception(error)
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                _say(
                    f"error: the disk is full: {error}\n  files written before are complete; free space and run it again"
                )
                return 1
            _say(f"error: {told}")
            return 2

    return wrapped


def _say(message: str) -> None:
    """Writes what was printed before, then a line on standard error, as far as somebody reads them."""
    for stream, text in ((sys.stdout, ""), (sys.stderr, f"{terminal.printable(message)}\n")):
        try:
            print(text, end="", file=stream, flush=True)
        except OSError:
            _hush(stream)


def _hush(*streams: TextIO) -> None:
    """Redirects streams to /dev/null, since Python exits with 120 where flushing one of them fails at its end."""
    for stream in streams:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or replaced by a test
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# By error number: what is wrong, and what is expected.
SYSTEM: dict[int, tuple[str, str]] = {
    errno.EACCES: ("permission denied", "a path that this user may read and, for output, write"),
    errno.EPERM: ("not permitted", "a path that this user may read and, for output, write"),
    errno.EROFS: ("a read-only file system", "a writable path"),
    errno.ENOENT: ("no such file or folder", "an existing one"),
    errno.EISDIR: ("a folder where a file is expected", "a file"),
    errno.ENOTDIR: ("a file where a folder is expected", "a folder"),
    errno.EEXIST: ("it exists already", "a path that doesn't exist yet"),
    errno.ENOTEMPTY: ("a folder that isn't empty", "an empty folder, or none"),
    errno.ENAMETOOLONG: ("a name that is too long", "at most 255 bytes a name, 4,095 a path"),
    errno.ELOOP: ("a loop of symbolic links", "a file or a folder"),
    errno.EXDEV: ("paths on different file systems", "paths on one disk"),
    errno.EMFILE: ("too many open files", "a higher limit: ulimit -n 65536"),
    errno.ENFILE: ("too many open files on this machine", "fewer running programs"),
    errno.ENOMEM: ("not enough memory", "more memory, or something smaller"),
    errno.EAGAIN: ("no more processes or threads may be started", "a higher limit: ulimit -u"),
    errno.EIO: ("a disk error", "a disk that can be read and written"),
    errno.ESTALE: ("the network file system has lost the file", "run the same command again"),
    errno.ECONNREFUSED: ("nothing listens there", "a service running at this address"),
    errno.ECONNRESET: ("the connection was closed", "run the same command again"),
    errno.ETIMEDOUT: ("no answer", "a service that can be reached"),
    errno.EHOSTUNREACH: ("the host can't be reached", "a service that can be reached"),
    errno.ENETUNREACH: ("no network", "a service that can be reached"),
    errno.EADDRINUSE: ("the port is in use", "another port"),
    errno.EADDRNOTAVAIL: ("not an address of this machine", "another address"),
}

# Package -> the extra of pyproject.toml that brings it; the last two come with Ray.
EXTRAS = dict.fromkeys(("scipy", "matplotlib", "bokeh", "jinja2"), "analysis") | dict.fromkeys(
    (
        "ray", "torch", "deepspeed", "transformers", "tokenizers", "datasets", "botocore", "huggingface_hub", "safetensors",
        "rich", "tensorboardX", "filelock", "requests", "aiohttp",
    ),
    "train",
)  # fmt: skip


def explained(error: BaseException) -> UserError | None:
    """The message for an error from outside; None for a possible bug of this project, which keeps its traceback."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError):
        return _system(error)
    if isinstance(error, ImportError):
        return _package(error)
    if isinstance(error, UnicodeEncodeError):
        found = repr(error.object[error.start : error.end][:20])
        expected = f"characters of {error.encoding}, or a UTF-8 locale: LC_ALL=C.UTF-8"
        return UserError("a character that this system's encoding doesn't have", found=found, expected=expected)
    if isinstance(error, UnicodeDecodeError):
        message, expected = "text in another encoding than expected", f"{error.encoding} text"
        return UserError(message, found=_said(error), expected=expected)
    for kind, (message, expected) in _KINDS.items():
        if isinstance(error, kind):
            return UserError(message, found=_said(error), expected=expected)
    origin = type(error).__module__.partition(".")[0]
    return UserError(_ORIGINS[origin], found=_said(error)) if origin in _ORIGINS else None


def _system(error: OSError) -> UserError:
    if isinstance(error, socket.gaierror):
        return UserError("unknown host", found=_said(error), expected="a name that resolves, and a network")
    message, expected = SYSTEM.get(error.errno or 0, ("a file, a disk or a service can't be used", None))
    if isinstance(error, TimeoutError) and not error.errno:
        message, expected = SYSTEM[errno.ETIMEDOUT]
    place = error.filename
    if isinstance(place, (str, bytes, os.PathLike)):
        return UserError(message, file=os.fsdecode(place), found=error.strerror, expected=expected)
    return UserError(message, found=_said(error), expected=expected)


def _package(error: ImportError) -> UserError | None:
    package = (error.name or "").partition(".")[0]
    if package in ("", "repro", "sweeps", "analysis", "cluster"):
        return None
    if package in EXTRAS and isinstance(error, ModuleNotFoundError):
        extra = EXTRAS[package]
        return UserError(
            f"{package} is needed here and isn't installed: pip install '.[{extra}]' in the checkout, or make setup"
        )
    return UserError("a package can't be imported", found=_said(error), expected=f"{error.name}: make setup")


def _said(error: BaseException) -> str:
    """An error's message on one line."""
    text = " ".join(str(error).split())
    return f"{text[:500]}..." if len(text) > 500 else text or type(error).__name__


_KINDS: dict[type[BaseException], tuple[str, str]] = {
    MemoryError: ("not enough memory", "more memory, or something smaller"),
    RecursionError: ("nested too deeply", "fewer levels"),
    EOFError: ("a file that ends too early", "a whole file"),
}
# Libraries' errors by the package that defines them, so that no library is imported for the check.
_ORIGINS = {
    "pyarrow": "Arrow can't read or reach it",
    "zlib": "a damaged compressed file",
    "lzma": "a damaged compressed file",
    "_lzma": "a damaged compressed file",
    "json": "not valid JSON",
    "yaml": "not valid YAML",
    "safetensors_rust": "a damaged safetensors file",
    "httpx": "a server can't be reached, or refuses",
    "httpx2": "a server can't be reached, or refuses",
    "requests": "a server can't be reached, or refuses",
    "botocore": "a store can't be reached, or refuses",
    "huggingface_hub": "the Hugging Face Hub can't be reached, or refuses",
    "google": "a store can't be reached, or refuses",
}
