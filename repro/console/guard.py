"""The outermost layer of every command: errors of the user or the environment become a message and an exit code."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import traceback
from typing import Protocol, TextIO

from repro.console import faults, homes, terminal
from repro.errors import DISK_FULL


class Main(Protocol):
    """A command: arguments (None: the process's) to exit code."""

    def __call__(self, argv: list[str] | None = None) -> int: ...


def guarded(main: Main) -> Main:
    """Wraps a command's `main`: errors of the user or the environment become a message and an exit code.

    2: a UserError, or an error that `faults.explained` knows. 1: a full disk. 130: Ctrl-C. Possible bugs of this project
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
            told = faults.explained(error)
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
