"""Which commands a test runs: calls of our `main` in this process, and processes that it starts."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from repro.console import commands
from tests.docs.signature import Signature, signature


class Recorder:
    """The commands that were run since it began to listen."""

    def __init__(self) -> None:
        self._ended: list[tuple[Signature, Callable[[], int | None]]] = []

    def succeeded(self) -> list[Signature]:
        """Those whose exit code is 0."""
        return [command for command, code in self._ended if command.verb and code() == 0]

    @contextmanager
    def listening(self) -> Iterator[None]:
        run, popen, parse = commands.run, subprocess.Popen.__init__, argparse.ArgumentParser.parse_args

        def main(prog: str, description: str, rooms: Sequence[commands.Room], argv: Sequence[str] | None) -> int:
            code = run(prog, description, rooms, argv)
            self._ended.append((signature([*prog.split(), *(argv or ())]), lambda: code))
            return code

        def start(process: subprocess.Popen, args: Any, *more: Any, **options: Any) -> None:
            popen(process, args, *more, **options)
            words = [str(args)] if isinstance(args, str | Path) else [*map(str, args)]
            self._ended.append((signature(words), process.poll))

        def parsed(parser: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
            # What lies in bench/ parses its own arguments.
            found, module = parse(parser, args, namespace), sys._getframe(1).f_globals["__name__"]
            if module.startswith("bench.") and args is not None:
                self._ended.append((signature(["python", "-m", module, *args]), lambda: 0))
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(commands, "run", main)
            patch.setattr(subprocess.Popen, "__init__", start)
            patch.setattr(argparse.ArgumentParser, "parse_args", parsed)
            yield


def missing(promised: Sequence[str], recorder: Recorder) -> Mapping[str, list[str]]:
    """Of the commands that a test promises to run, those that it didn't, each with what it ran of that verb."""
    ran = recorder.succeeded()
    found = {}
    for text in promised:
        own = signature(text.split())
        same = [one for one in ran if one.verb == own.verb]
        if not own.options <= {option for one in same for option in one.options} or not same:
            found[text] = sorted({str(one) for one in same})
    return found
