"""What model cards and `inspect` print: the Markdown of a card, its tables, and a readable table of a model's counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from repro.models.card_claims import KEY
from repro.models.counts import Counts, Layer


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


IN_A_BLOCK = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def described(counts: Counts) -> list[str]:
    """Lines of text: the totals, then sparsity by layer, one row per block."""
    tied = ", of which the embedding is the head too (tied)" if counts.tied else ""
    lines = [
        f"linear     {counts.linear_params:>16,}",
        f"non-zero   {counts.nonzero_linear_params:>16,} of the linear",
        f"total      {counts.total_params:>16,}{tied}",
        f"sparsity   {counts.sparsity:>16.4%} of the linear",
        f"structure  {counts.structure:>16}",
        f"layout     {counts.layout:>16}",
    ]
    for part, said in counts.parts().items():
        lines.append(f"{part:<10} {said['total_params']:>16,} in all, {said['linear_params']:,} linear")
    lines.append("")
    head, rows = sparsity_table(counts)
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        lines.append("  ".join(f"{cell:{'>' if i else '<'}{widths[i]}}" for i, cell in enumerate(row)).rstrip())
    return lines + ([""] if counts.notes else []) + [f"note: {note}" for note in counts.notes]


def sparsity_table(counts: Counts) -> tuple[list[str], list[list[str]]]:
    """Header and rows: sparsity with one row per block and one column per kind of layer, experts pooled."""
    cells: dict[tuple[str, str], dict[str, list[Layer]]] = {}
    stacks: set[str] = {""}
    for layer in counts.layers:
        name = layer.name.removesuffix(".weight")
        stack, row, column = _cell_of(name)
        stacks.add(stack)
        cells.setdefault((stack, row), {}).setdefault(column, []).append(layer)
    columns = sorted({column for row in cells.values() for column in row}, key=_as_in_a_block)
    rows = [
        [f"{stack}.{row}" if stack and len(stacks) > 2 else row, *(_cell(of.get(column, [])) for column in columns)]
        for (stack, row), of in cells.items()
    ]
    return ["layer", *columns], rows


def _cell_of(name: str) -> tuple[str, str, str]:
    """Stack of blocks, block number, kind of layer; for a layer outside the blocks, only its name."""
    parts = name.split(".")
    for i, part in enumerate(parts[1:], start=1):
        if part.isdigit() and parts[i - 1] in ("layers", "h", "block", "blocks", "layer") and len(parts) > i + 1:
            return ".".join(parts[:i]), part, parts[-1]
    return "", name, ""


def _as_in_a_block(column: str) -> tuple[int, str]:
    return (IN_A_BLOCK.index(column) if column in IN_A_BLOCK else len(IN_A_BLOCK), column)


def _cell(layers: list[Layer]) -> str:
    if not layers:
        return ""
    share = 1 - sum(layer.nonzero for layer in layers) / sum(layer.params for layer in layers)
    found = {layer.structure for layer in layers}
    return f"{share:.2%}" + (f" {found.pop()}" if len(found) == 1 and ":" in "".join(found) else "")
