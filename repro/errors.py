"""The one exception a user is meant to read: it becomes a message and exit code 2."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from typing import Protocol

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
        self.file, self.key, self.found, self.expected = file, key, found, expected
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

    def __reduce__(self) -> tuple[Callable[[str], UserError], tuple[str]]:
        # Ray and multiprocessing carry exceptions between processes; the message is already whole.
        return (_rebuilt, (str(self),))


def _rebuilt(text: str) -> UserError:
    return UserError(text)


class Main(Protocol):
    """A command: arguments (those of the process when None) to exit code."""

    def __call__(self, argv: list[str] | None = None) -> int: ...


def guarded(main: Main) -> Main:
    """Wraps a command's `main` so that a UserError prints to stderr and returns exit code 2."""

    def wrapped(argv: list[str] | None = None) -> int:
        try:
            return main(argv)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except BrokenPipeError:  # the reader, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            print(
                f"error: the disk is full: {error}\n  what was written before is whole; free space and say it again",
                file=sys.stderr,
            )
            return 1

    return wrapped
