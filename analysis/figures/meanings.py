"""What the columns of figures' tables are: those of runs as `repro.columns` declares them, the others beside their figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from repro.columns import COLUMNS

NATS = "nats/token"


class Meaning(NamedTuple):
    """Unit ("" for none) and meaning of a column."""

    unit: str
    meaning: str


_OF_RUNS = {column.name: Meaning(column.unit, column.meaning) for column in COLUMNS}


def of_column(name: str, own: Mapping[str, Meaning]) -> Meaning:
    """What a column of a figure's table is: as the figure says, in `own`, or as the table of runs does.

    Raises:
        KeyError: neither says it.
    """
    return own[name] if name in own else _OF_RUNS[name]
