"""The commands in the pages of docs/, in the README and in the help of verbs: found, held against the parsers of what they call, and run.

`python -m tests.docs.commands` prints those of README and docs with the test that runs each.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.__main__ import main as bench_main
from tests import parsers
from tests.docs.promises import INSTEAD, PROMISES
from tests.docs.signature import Signature, signature

ROOT = Path(__file__).resolve().parents[2]
PAGES = {page.stem: page for page in sorted((ROOT / "docs").glob("*.md"))}
SOURCES = {**PAGES, "README": ROOT / "README.md"}
OURS = parsers.ROOMS
HELP = {f"{room} --help": room for room in OURS}  # the examples of all its verbs, in order
OF_OTHERS = {"kubectl", "pip", "ray", "sbatch", "sky", "ssh", "tensorboard"}  # parsed by nobody here
# Verbs of seconds, and those that train or read a trained run; `sweeps run` is run with --dry-run alone.
QUICK = {
    "repro schedule", "sweeps expand", "sweeps plan", "sweeps run", "sweeps schema", "analysis fit", "analysis predict",
    "analysis compare", "analysis design", "analysis simulate", "analysis noise", "analysis lr", "analysis rates", "cluster render",
}  # fmt: skip
QUICK_IN_HELP = QUICK | {
    "analysis recipes",
    "analysis isoflop",
    "analysis keep",
}  # on pages some read tables of the reader's own
OF_RUNS = {
    "repro train", "repro corpus", "repro export", "repro inspect", "repro prune", "repro grow", "repro evaluate",
    "repro flatness", "sweeps status",
}  # fmt: skip
# What a reader has in place of it: RUN_ID, head:6379, org/name, a part of C4, the results of whole sweeps.
OWN = re.compile(
    r"\b[A-Z][A-Z_]{2,}\b(?!\.json)|\borg/name\b|\bhead:|\bresults/(?!quick/runs/)|\bc4\.json|build sweeps/paper|--tasks"
)


@dataclass(frozen=True)
class Command:
    """A command of a page. words: without redirection. out: the file that its output goes to.
    named: a sentence names the verb, without what it needs."""

    page: str
    text: str
    words: tuple[str, ...]
    out: str | None = None
    named: bool = False

    @property
    def verb(self) -> str:
        """`analysis fit`; for anything but our commands the empty string."""
        ours = self.words[:2] == ("python", "-m") and self.words[2] in OURS
        return " ".join(self.words[2:4]) if ours else ""

    @property
    def signature(self) -> Signature:
        return signature(self.words)

    @property
    def instead(self) -> tuple[str, tuple[str, ...]] | None:
        """Why no test runs it, and which tests stand in; None for what a test must run."""
        return INSTEAD.get(self.signature.verb, INSTEAD.get(str(self.signature)))

    def runs(self, verbs: set[str]) -> bool:
        """Whether it is of these verbs and can be run as it stands."""
        if self.verb == "sweeps run" and "--dry-run" not in self.words:
            return False
        return self.verb in verbs and not (self.named or "--help" in self.words or OWN.search(self.text))

    def parse(self) -> None:
        """Raises SystemExit or AssertionError unless the parser of what it calls takes it."""
        if self.verb:
            assert self.words[3] in parsers.room_of(self.words[2]).verbs, self.text
            if not (self.named or "--help" in self.words):
                parsers.parse(self.words)
        elif self.words[0] == "sparse-scaling":
            known = {verb for room in OURS for verb in parsers.room_of(room).verbs}
            assert self.words[1] in {*known, "--help"}, self.text
        elif self.words == ("python", "-m", "bench"):
            assert bench_main() == 0
        elif self.words[:2] == ("python", "-m") and self.words[2].startswith("bench."):
            _parse_bench(self.words[2], self.words[3:])
        elif self.words[:3] == ("python", "-m", "pytest"):
            assert all((ROOT / word).exists() for word in self.words[3:] if "/" in word), self.text
        elif self.words[0] == "make":
            done = subprocess.run(["make", "-n", *self.words[1:]], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        else:
            assert self.words[0] in OF_OTHERS, self.text

    def run(self) -> str:
        """Runs it in this process and folder; what it prints. Raises unless its exit code is 0."""
        room = importlib.import_module(f"{self.words[2]}.__main__")
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            code = room.main(list(self.words[3:]))
        assert code == 0, (self.text, code)
        if self.out:
            Path(self.out).write_text(shown.getvalue())
        return shown.getvalue()


def of(page: str) -> Iterator[Command]:
    """The commands of a page: each line of its ```bash blocks, and each command within its sentences; of HELP the examples."""
    if page in HELP:
        yield from (_read(page, line) for verb in parsers.verbs(HELP[page]) for line in verb.examples)
        return
    text = SOURCES[page].read_text()
    blocks = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    lines = [
        line
        for kind, block in blocks.findall(text)
        if kind == "bash"
        for line in block.replace("\\\n", " ").splitlines()
    ]
    sentences = " ".join(blocks.sub("", text).split())
    begins = "|".join(["python -m \\w+", "python -m bench\\.\\w+", "make", *sorted(OF_OTHERS)])
    inline = re.findall(rf"`((?:{begins}) [^`]+|python -m bench)`", sentences)
    for line in (*lines, *inline):
        if shlex.split(line, comments=True):
            yield _read(page, line, in_sentence=line in inline)


def _read(page: str, line: str, *, in_sentence: bool = False) -> Command:
    words = shlex.split(line, comments=True)
    at = words.index(">") if ">" in words else len(words)
    out = words[at + 1] if at < len(words) else None
    # One of several that are given, and any number for a step.
    said = tuple("1" if word == "STEP" else word.partition("|")[0] for word in words[:at])
    return Command(page, line, said, out, named=in_sentence and words[0] == "python" and len(words) == 4)


@functools.cache
def runs() -> tuple[tuple[str, Signature], ...]:
    """Each test that runs a command, with that command: those of test_commands.py, and what others promise."""
    own = "tests/docs/test_commands.py::test_the_"
    found = []
    for page in SOURCES:
        quick = f"{own}quick_commands_of_a_page_run_one_after_another[{page}]"
        trained = f"{own}commands_of_a_page_that_need_a_trained_run_run_too[{page}]"
        found += [(quick, one.signature) for one in of(page) if one.runs(QUICK)]
        found += [(trained, one.signature) for one in of(page) if one.runs(OF_RUNS)]
    for page in HELP:
        examples = f"{own}quick_examples_of_a_room_run_one_after_another[{page}]"
        found += [(examples, one.signature) for one in of(page) if one.runs(QUICK_IN_HELP | OF_RUNS)]
    promised = [(test, signature(text.split())) for test, texts in PROMISES.items() for text in texts]
    return (*found, *promised)


def run_by(command: Command) -> list[str]:
    """The tests that run the command: its own line if one does, else its verb with, among them, each of its options.
    Empty where none does, or no run has one of the options."""
    asked = command.signature
    if asked.verb == "pytest":
        return list(command.words[3:])
    same = [(test, one) for test, one in runs() if one.does == asked.does]
    for test, _ in same:
        if f"[{command.page}]" in test and command.runs(QUICK if "quick_commands" in test else OF_RUNS):
            return [test]
    best = sorted(same, key=lambda run: (-len(run[1].options & asked.options), len(run[1].options - asked.options)))
    chosen: list[str] = []
    left = set(asked.options)
    for test, one in best:
        if not chosen or left & one.options:
            chosen.append(test)
            left -= one.options
    return [] if left else chosen


def files(page: str) -> dict[str, str]:
    """The files that a page shows: blocks whose first line is a comment with their name."""
    found = re.findall(
        r"^```\w+\n# (\S+\.(?:yaml|py))\n(.*?)^```$", SOURCES[page].read_text(), re.MULTILINE | re.DOTALL
    )
    return dict(found)


class _ParsedError(Exception):
    """Ends a command once its arguments are parsed."""


def _parse_bench(module: str, words: tuple[str, ...]) -> None:
    real = argparse.ArgumentParser.parse_args

    def parse(self: argparse.ArgumentParser, *_: object) -> None:
        real(self, list(words))
        raise _ParsedError

    argparse.ArgumentParser.parse_args = parse  # type: ignore[method-assign, assignment]
    try:
        with contextlib.suppress(_ParsedError):
            importlib.import_module(module).main(list(words))
            raise AssertionError(f"{module} parses no arguments")
    finally:
        argparse.ArgumentParser.parse_args = real  # type: ignore[method-assign]


def table() -> Iterator[str]:
    """A row for each command: page, command, tests; in place of tests what says why there is none."""
    yield "| page | command | run by |"
    yield "|---|---|---|"
    for page in SOURCES:
        for command in of(page):
            why, instead = command.instead or ("", ())
            tests = [f"`{test}`" for test in instead if why] or [f"`{test}`" for test in run_by(command)]
            text = " ".join(command.text.split()).replace("|", "\\|")
            yield f"| {page} | `{text}` | {', '.join([why, *tests] if why else tests)} |"


if __name__ == "__main__":
    print("\n".join(table()))
