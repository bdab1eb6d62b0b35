"""The one exception a user is meant to read: it becomes a message and exit code 2."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Protocol

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class UserError(Exception):
    """Something the user gave is wrong; nothing was trained or overwritten.

    Args:
        message: what is wrong, in one sentence.
        file: the file it was read from, if any.
        key: the dotted key inside that file, if any.
        found: what stands there.
        expected: what should stand there.
    """

    def __init__(
        self,
        message: str,
        *,
        file: object = None,
        key: str | None = None,
        found: object = None,
        expected: object = None,
    ):
        self.message, self.file, self.key, self.found, self.expected = message, file, key, found, expected
        parts = [message]
        if file is not None:
            parts.append(f"  file:     {file}")
        if key is not None:
            parts.append(f"  key:      {key}")
        if found is not None:
            parts.append(f"  found:    {found}")
        if expected is not None:
            parts.append(f"  expected: {expected}")
        super().__init__("\n".join(parts))

    def but(self, **changed: Any) -> UserError:
        """This error with other particulars, by the names of the arguments."""
        own: dict[str, Any] = {"file": self.file, "key": self.key, "found": self.found, "expected": self.expected}
        return UserError(**({"message": self.message} | own | changed))

    def located(self, file: object = None, key: str | None = None) -> UserError:
        """This error, of a value in `file` under `key`, before which its own key goes; one that has its file stays."""
        if self.file is not None or not (file or key):
            return self
        inner = self.key or ""
        dot = "." if key and inner and not inner.startswith("[") else ""
        return self.but(file=file, key=f"{key or ''}{dot}{inner}" or None)

    def __reduce__(self) -> tuple[Callable[..., UserError], tuple[str | None, ...]]:
        # Ray and multiprocessing carry exceptions between processes: as text, whatever was found.
        particulars = (self.file, self.key, self.found, self.expected)
        return (_rebuilt, (self.message, *(None if one is None else str(one) for one in particulars)))


@contextlib.contextmanager
def located(file: object, key: str) -> Iterator[None]:
    """Gives a UserError that doesn't say where it stands this file and, before its own key, this one."""
    try:
        yield
    except UserError as error:
        raise error.located(file, key) from error


def _rebuilt(message: str, file: str | None, key: str | None, found: str | None, expected: str | None) -> UserError:
    return UserError(message, file=file, key=key, found=found, expected=expected)


class Main(Protocol):
    """A command: arguments (those of the process when None) to exit code."""

    def __call__(self, argv: list[str] | None = None) -> int: ...


def guarded(main: Main) -> Main:
    """Wraps a command's `main`: what a user gave or an environment lacks ends in a message and an exit code.

    2: a UserError, and what `faults.explained` knows. 1: a full disk. 130: Ctrl-C. What may be a fault of this project
    keeps its traceback; REPRO_TRACEBACK=1 shows that of everything.
    """

    @functools.wraps(main)
    def wrapped(argv: list[str] | None = None) -> int:
        from repro.console import faults, homes, terminal  # they need UserError

        terminal.adapt()
        try:
            homes.adapt()
            code = main(argv)
            if sys.stdout is not None:
                sys.stdout.flush()  # here a full disk or a closed pipe can still be told
            return code
        except BrokenPipeError:  # the reader, `head` say, has seen enough
            _hush()
            return 0
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except Exception as error:
            told = faults.explained(error)
            if told is None:
                raise
            if os.environ.get("REPRO_TRACEBACK"):
                traceback.print_exception(error)
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                _say(f"the disk is full: {error}\n  what was written before is whole; free space and say it again")
                _hush()
                return 1
            _say(str(told))
            return 2

    return wrapped


def _say(message: str) -> None:
    from repro.console import terminal

    print(f"error: {terminal.printable(message)}", file=sys.stderr)


def _hush() -> None:
    """Lets what is left for standard output go nowhere, so that the interpreter's end doesn't fail on it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # of a closed one, or of a test's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
