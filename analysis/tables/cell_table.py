"""The table that every reader returns: columns of cells as they are in the file.

Cells aren't converted to numbers here, so that an unused column can hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.tables.cells import Comma, NoNumber, comma_of
from repro.errors import UserError


@dataclass(frozen=True)
class CellTable:
    """A table as it stands in a file.

    Attributes:
        source: file or folder.
        names: of the columns, in their order; one may stand there twice.
        rows: how many.
        cells: the cells (rows,) of a column by its position.
        usual: what the laws' columns are called in such a table.
        comma: what a comma in a number means, where the kind of file says so.
    """

    source: str
    names: tuple[str, ...]
    rows: int
    cells: Callable[[int], list[Any]]
    usual: Mapping[str, str] = field(default_factory=dict)
    comma: Comma | None = None

    @classmethod
    def of(cls, source: str, names: tuple[str, ...], columns: Sequence[list[Any]]) -> CellTable:
        """Of columns that are read already, each a list of cells."""
        return cls(source, names, len(columns[0]) if columns else 0, columns.__getitem__)

    def column(self, name: str, key: str | None = None) -> list[Any]:
        """The cells of a column. Raises UserError where there is none of that name, or two."""
        found = [i for i, own in enumerate(self.names) if own == name]
        if len(found) > 1:
            raise UserError(
                "two columns of one name", file=self.source, key=key or name,
                found=f"{name} in columns {' and '.join(str(i + 1) for i in found)}", expected="one, or another name",
            )  # fmt: skip
        if not found:
            raise UserError(
                "no such column", file=self.source, key=key, found=name, expected=listed(self.names, like=name)
            )
        return self.cells(found[0])

    def comma_in(self, some: Iterable[Any], key: str | None = None) -> Comma | None:
        """What a comma means in some of its cells. Raises UserError where they hold numbers of two kinds."""
        try:
            return comma_of(some) or self.comma
        except NoNumber as error:
            raise UserError("numbers of two kinds", file=self.source, key=key, expected=str(error)) from error


def listed(names: tuple[str, ...] | list[str], like: str = "", most: int = 30) -> str:
    """Names for a message: at first those that differ in case alone."""
    near = [name for name in names if name.lower() == like.lower()]
    order = [*near, *(name for name in dict.fromkeys(names) if name not in near)]
    return ", ".join(order[:most]) + (f" and {len(order) - most} more" if len(order) > most else "")
