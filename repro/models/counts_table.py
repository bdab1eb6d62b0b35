"""A readable table of a model's counts: totals, then sparsity by kind of layer, one row per block."""

from __future__ import annotations

from repro.models.counts import Counts, Layer

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
    head, rows = table(counts)
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        lines.append("  ".join(f"{cell:{'>' if i else '<'}{widths[i]}}" for i, cell in enumerate(row)).rstrip())
    return lines + ([""] if counts.notes else []) + [f"note: {note}" for note in counts.notes]


def table(counts: Counts) -> tuple[list[str], list[list[str]]]:
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
