"""Rows: the one table type of the analysis, columns of equal length by name, of which masks select rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """Rows of a table, by column: numbers as float arrays (null is nan), the rest as object arrays, (n,) each."""

    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self.columns[column]

    def where(self, chosen: NDArray[Any]) -> Self:
        """The rows of a mask, or at the given positions."""
        return replace(self, columns={name: values[chosen] for name, values in self.columns.items()})

    def rows(self) -> Iterator[dict[str, Any]]:
        """One mapping a row."""
        for i in range(len(self)):
            yield {name: values[i] for name, values in self.columns.items()}
