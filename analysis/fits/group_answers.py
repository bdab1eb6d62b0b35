"""One answer for each group of a table's rows: what `--by` prints, and the library gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from analysis.tables import cells
from analysis.tables.table import Table
from repro.errors import UserError


class TableAnswer(Protocol):
    """The result of an analysis of a table's rows, with warnings; as the command prints it with --json, and as a reader sees it."""

    @property
    def warnings(self) -> Sequence[str]: ...

    def as_json(self) -> dict[str, Any]: ...

    def lines(self) -> Iterable[str]: ...


A = TypeVar("A", bound=TableAnswer)
R = TypeVar("R", bound=Table)


@dataclass(frozen=True)
class GroupAnswers(Generic[A]):
    """Answers by group.

    Attributes:
        rows: all of them. by: the column whose equal cells are a group.
        found: by label. left: why a group has no answer, by its label.
        brief: lines for all answers together; None takes those of each.
    """

    rows: Table
    by: str
    found: Mapping[str, A]
    left: Mapping[str, str]
    brief: Callable[[str, Mapping[str, A]], list[str]] | None = None

    @property
    def warnings(self) -> list[str]:
        of_rows = list(self.rows.warnings)
        return [
            *of_rows,
            *(f"{self.by} {label} is left out: {reason}" for label, reason in self.left.items()),
            *(
                f"{self.by} {label}: {text}"
                for label, one in self.found.items()
                for text in one.warnings
                if text not in of_rows
            ),
        ]

    def as_json(self) -> list[dict[str, Any]]:
        """A list, without the groups that are left out."""
        return [{"by": self.by, "group": label} | one.as_json() for label, one in self.found.items()]

    def lines(self) -> list[str]:
        if self.brief is not None:
            return self.brief(self.by, self.found)
        return [
            line
            for label, one in self.found.items()
            for line in (f"{self.by} {label}:", *(f"  {own}" for own in one.lines()))
        ]


def labels(rows: Table, column: str) -> np.ndarray:
    """The group of each row, (n,): the text of its cell in a column of the file. Raises UserError for one that holds nothing, or what can't be printed."""
    assert rows.raw is not None
    rows.raw.column(column, "--by")
    found = rows.cells(column)
    for cell, row in zip(found, rows.numbers, strict=True):
        if cells.is_missing(cell):
            raise UserError(
                "a row that is of no group", file=rows.source, key=f"--by {column}", found=f"{cells.shown(cell)} in row {row:.0f}",
                expected=f"a name in every row, or --exclude row={row:.0f}",
            )  # fmt: skip
        if not str(cell).isprintable():
            raise UserError(
                "a name that can't be printed",
                file=rows.source,
                key=f"--by {column}",
                found=cells.shown(cell),
                expected="text of one line",
            )
    return np.array([str(cell).strip() for cell in found], dtype=object)


def by_group(
    rows: R, by: str, answer: Callable[[R], A], brief: Callable[[str, Mapping[str, A]], list[str]] | None = None
) -> GroupAnswers[A]:
    """The answer of each group. A group that has none is left out with the reason.

    Raises:
        UserError: no such column, a row of no group, or no group with an answer.
    """
    member = labels(rows, by)
    found, left = {}, {}
    expected: object = None
    for label in dict.fromkeys(member.tolist()):
        try:
            found[label] = answer(rows.where(member == label))
        except UserError as error:
            # Of a list of reasons the first: each group has its own.
            found_there = str(error.found or "").partition(";")[0]
            left[label] = f"{error.message}: {found_there}" if found_there else error.message
            expected = error.expected
    if not found:
        told = "; ".join(f"{by} {label}: {reason}" for label, reason in list(left.items())[:5])
        raise UserError("no group has an answer", file=rows.source, key=f"--by {by}", found=told, expected=expected)
    return GroupAnswers(rows, by, found, left, brief)
