"""One answer for each group of a table's rows, in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from analysis.fits.group_answers import A, GroupAnswers
from analysis.library.answer import Answer
from analysis.library.words import for_python
from analysis.tables.cell_table import listed
from repro.errors import UserError

T = TypeVar("T", bound=Answer)


@dataclass(frozen=True, repr=False)
class GroupedAnswers(Answer, Generic[T]):
    """Answers by group, `answers["c4"]`. `inner`: all of them, with why a group is left out.

    Attributes:
        groups: by the cells of the column, as text.
    """

    inner: GroupAnswers[Any]
    groups: Mapping[str, T]
    notes: tuple[str, ...]

    @for_python
    def __getitem__(self, label: object) -> T:
        """The answer of a group. Raises UserError for a label that has none."""
        name = str(label).strip()
        if name not in self.groups:
            why = self.inner.left.get(name)
            raise UserError(
                "a group without an answer" if why else "no such group", key=self.inner.by, found=why or name,
                expected=listed(list(self.groups), like=name),
            )  # fmt: skip
        return self.groups[name]

    def lines(self) -> list[str]:
        return self.inner.lines()


def grouped(inner: GroupAnswers[A], made: Callable[[A, tuple[str, ...]], T], notes: tuple[str, ...]) -> GroupedAnswers[T]:  # fmt: skip
    """The answers of all groups, each made of what was found of its rows."""
    return GroupedAnswers(inner, {label: made(one, ()) for label, one in inner.found.items()}, notes)
