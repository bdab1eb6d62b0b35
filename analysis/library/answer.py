"""Answers of the library: as text for a console, HTML for a notebook, JSON for a file, and a figure; one, or one for each group.

Errors and warnings are in the words of callers in Python: options of the commands become arguments.
"""

from __future__ import annotations

import html
import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from analysis.fits import group_answers
from analysis.fits.group_answers import A, GroupAnswers, R, TableAnswer
from analysis.shown import plain_json
from analysis.tables import cell_table
from repro import paths
from repro.errors import UserError

KINDS = ("png", "pdf", "svg")

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")
Result = TypeVar("Result")
_COLUMNS = re.compile(r"(?<!\S)--columns (?=\S)")  # names of columns are arguments themselves
_OPTION = re.compile(r"(?<![\w-])--(?=[a-z])")


def in_python(text: str) -> str:
    """`--sigma` as `sigma`, and `--columns N=params` as `N=params`."""
    return _OPTION.sub("", _COLUMNS.sub("", text))


def for_python(call: Callable[P, Result]) -> Callable[P, Result]:
    """The same function, whose UserErrors name arguments instead of options."""

    @wraps(call)
    def called(*args: P.args, **kwargs: P.kwargs) -> Result:
        try:
            return call(*args, **kwargs)
        except UserError as error:
            key = None if error.key is None else in_python(error.key)
            expected = in_python(error.expected) if isinstance(error.expected, str) else error.expected
            raise error.but(message=in_python(error.message), key=key, expected=expected) from error

    return called


@dataclass(frozen=True)
class Plot:
    """A figure that a notebook shows."""

    figure: Figure
    png: bytes

    def _repr_png_(self) -> bytes:
        return self.png


Inner = TypeVar("Inner", bound=TableAnswer | GroupAnswers[Any])


@dataclass(frozen=True, repr=False)
class Answer(Generic[Inner]):
    """An answer of `analysis.fits`.

    Attributes:
        inner: what the command prints, too, with its warnings and `as_json`.
        notes: what was left out of the table, and what is odd about single rows, a line each.
    """

    inner: Inner
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """The answer as text."""
        return list(self.inner.lines())

    @property
    def warnings(self) -> list[str]:
        """Warnings about the answer, one sentence each."""
        return [in_python(text) for text in self.inner.warnings]

    def as_json(self) -> Any:
        """What the command prints with --json: a dict; of several groups a list of them."""
        return plain_json(self.inner.as_json())

    @for_python
    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes what the command prints with --json. Raises UserError where that can't be written."""
        _write(path, (json.dumps(self.as_json(), indent=1) + "\n").encode())

    def __repr__(self) -> str:
        told = [*self.notes, *(f"warning: {text}" for text in self.warnings)]
        return "\n".join([*(in_python(line) for line in self.lines()), *told])

    def _repr_html_(self) -> str:
        return self._body() + listed("left out, or odd", self.notes) + listed("warnings", self.warnings)

    def _body(self) -> str:
        return f"<pre>{html.escape(in_python(chr(10).join(self.lines())))}</pre>"


T = TypeVar("T", bound=Answer[Any])


@dataclass(frozen=True, repr=False)
class GroupedAnswers(Answer[GroupAnswers[Any]], Generic[T]):
    """Answers by group, `answers["c4"]`. `inner`: all of them, with why a group is left out.

    Attributes:
        groups: by the cells of the column, as text.
    """

    groups: Mapping[str, T]

    @for_python
    def __getitem__(self, label: object) -> T:
        """The answer of a group. Raises UserError for a label that has none."""
        name = str(label).strip()
        if name not in self.groups:
            why = self.inner.left.get(name)
            raise UserError(
                "a group without an answer" if why else "no such group", key=self.inner.by, found=why or name,
                expected=cell_table.listed(list(self.groups), like=name),
            )  # fmt: skip
        return self.groups[name]


def answered(
    rows: R,
    by: str | None,
    answer: Callable[[R], A],
    made: Callable[[A, tuple[str, ...]], T],
    notes: tuple[str, ...],
    brief: Callable[[str, Mapping[str, A]], list[str]] | None = None,
) -> T | GroupedAnswers[T]:
    """The answer of some rows, or with `by` that of each group; `made` of what was found. See `by_group`."""
    if by is None:
        return made(answer(rows), notes)
    inner = group_answers.by_group(rows, by, answer, brief)
    return GroupedAnswers(inner, notes, {label: made(one, ()) for label, one in inner.found.items()})


def listed(title: str, lines: Sequence[str]) -> str:
    """Lines under a title, as HTML; nothing where there are none."""
    if not lines:
        return ""
    return f"<p><b>{title}</b></p><ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"


@for_python
def plotted(module: ModuleType, source: Any, path: str | os.PathLike[str] | None) -> Plot:
    """A figure of `analysis.figures`, written to `path` where there is one.

    Args:
        module: of the figure. source: what its panels are of. path: ends in .png, .pdf or .svg.

    Raises:
        UserError: another ending, or a path that can't be written.
    """
    from analysis.figures import panel, style

    ending = "png" if path is None else Path(os.fspath(path)).suffix.lower().lstrip(".")
    if ending not in KINDS:
        raise UserError("not a kind of figure", key="path", found=str(path), expected=", ".join(f".{k}" for k in KINDS))
    with style.applied():
        drawn = panel.figure([own for own in module.panels(source) if not own.empty], columns=module.COLUMNS)
        found = {kind: io.BytesIO() for kind in ("png", ending)}
        for kind, sink in found.items():
            drawn.savefig(sink, format=kind)
    if path is not None:
        _write(path, found[ending].getvalue())
    return Plot(drawn, found["png"].getvalue())


def _write(path: str | os.PathLike[str], data: bytes) -> None:
    try:
        Path(paths.expand(path)).write_bytes(data)
    except OSError as error:
        raise UserError("can't be written", file=os.fspath(path), found=error.strerror or str(error)) from error
