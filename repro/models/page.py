"""Writes the Markdown of a model card: front matter and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from repro.models.card_claims import KEY


def written(tags: list[str], claims: Mapping[str, Any], lines: Iterable[str]) -> str:
    """A card's text: front matter with its tags and claims, then its lines."""
    matter = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": tags, KEY: dict(claims)}
    return f"---\n{yaml.safe_dump(matter, sort_keys=False)}---\n\n" + "\n".join(lines) + "\n"


def section(title: str, lines: Iterable[str] = ()) -> Iterator[str]:
    """A section, or the heading of one."""
    yield from ("", f"## {title}", "", *lines)


def use() -> Iterator[str]:
    """The section that says how a model is loaded."""
    call = 'pipeline("text-generation", model="THIS FOLDER OR ITS ID")("Once upon a time", max_new_tokens=40)'
    yield from section("Use", ("```python", "from transformers import pipeline", "", call, "```", ""))


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
