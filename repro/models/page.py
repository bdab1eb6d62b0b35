"""The Markdown of a model card: front matter and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml


def written(matter: Mapping[str, Any], lines: Iterable[str]) -> str:
    """A card's text: front matter, then its lines."""
    return f"---\n{yaml.safe_dump(dict(matter), sort_keys=False)}---\n\n" + "\n".join(lines) + "\n"


def rows_of(pairs: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of names and values, without a header."""
    yield from table_of(["", ""], [list(pair) for pair in pairs])


def table_of(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_escaped(cell) for cell in row)} |"


def _escaped(cell: str) -> str:
    return cell.replace("|", r"\|")
