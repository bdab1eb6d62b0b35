"""The outermost layer of every command: what a user gave or an environment lacks becomes a message and an exit code."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import traceback
from typing import Protocol

from repro.console import faults, homes, terminal
from repro.errors import DISK_FULL


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
    print(f"error: {terminal.printable(message)}", file=sys.stderr)


def _hush() -> None:
    """Lets what is left for standard output go nowhere, so that the interpreter's end doesn't fail on it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # of a closed one, or of a test's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
